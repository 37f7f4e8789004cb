/**
 * A machine in the tests that keeps no rules: hears whatever goes by multicast, sends whatever it is told, under any of
 * its addresses and from any port, on its own or as the answer to each question.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { z } from 'zod';

const group = '224.0.0.251';
const order = z.object({
  /** `answer`: to every question that comes from now on. */
  order: z.enum(['send', 'answer']),
  packets: z.array(z.base64()),
  fromAddress: z.string(),
  fromPort: z.number().default(5353),
  to: z.string().default(group),
});
const tell = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const [own = ''] = process.argv.slice(2);

async function socketAt(address: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.bind(port, address);
  await once(socket, 'listening');
  socket.setMulticastTTL(255);
  return socket;
}

const ear = await socketAt('0.0.0.0', 5353);
ear.addMembership(group, own);
const answering: (() => Promise<void>)[] = [];
ear.on('message', (packet, from) => {
  tell({ heard: packet.toString('base64'), from: from.address });
  const isQuestion = ((packet[2] ?? 0x80) & 0x80) === 0;
  if (isQuestion && from.address !== own) for (const answer of answering) void answer();
});

createInterface(process.stdin)
  .on('line', (line) => void obey(order.parse(JSON.parse(line))))
  .on('close', () => process.exit());

async function obey({ order: told, packets, fromAddress, fromPort, to }: z.output<typeof order>): Promise<void> {
  const socket = await socketAt(fromAddress, fromPort);
  socket.setMulticastInterface(own);
  const send = async (): Promise<void> => {
    for (const packet of packets) {
      await new Promise<void>((done) => socket.send(Buffer.from(packet, 'base64'), 5353, to, () => done()));
    }
  };
  if (told === 'answer') answering.push(send);
  else {
    await send();
    socket.close();
  }
  tell({ done: told });
}
tell({ ready: 'stranger' });
