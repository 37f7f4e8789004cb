import type { AddressInfo } from 'node:net';
import { createServer, TLSSocket } from 'node:tls';
import { Aedes, type AedesPublishPacket, type Client } from 'aedes';
import { z } from 'zod';

export interface SeenMessage {
  readonly clientId: string;
  readonly topic: string;
  readonly json: Record<string, unknown>;
}

export interface StandInBroker {
  readonly port: number;
  readonly aedes: Aedes;
  /** What clients have published, in order. */
  readonly seen: SeenMessage[];
  /** Subscriptions that clients asked for, granted or not. */
  readonly wanted: string[];
  /** How many came as far as CONNECT. */
  connects: number;
  /** Bytes of MQTT that arrived, TLS taken off. */
  bytes: number;
  /** A test's say in who may subscribe; all may by default. */
  maySubscribe: (topic: string, clientId: string) => boolean;
  /** Of each client that came as far as CONNECT: the serial number of its certificate. */
  readonly serialNumbers: string[];
  mayConnect: (clientId: string, serialNumber: string) => boolean;
  /** Answers a message; what it gives is published on the same topic. */
  answer: (message: SeenMessage) => object | undefined | Promise<object | undefined>;
  publish(topic: string, message: object): Promise<void>;
  disconnectAll(): void;
  close(): Promise<void>;
}

/** A real broker over TLS with client certificates, which does what a test tells it; for tests only. */
export async function startStandInBroker(
  tls: { cert: string; key: string; clientCa: string[] },
  port = 0,
): Promise<StandInBroker> {
  const aedes = await Aedes.createBroker();
  const sockets = new Set<TLSSocket>();
  const server = createServer(
    { cert: tls.cert, key: tls.key, ca: tls.clientCa, requestCert: true, rejectUnauthorized: true, noDelay: true },
    (socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
      const read = socket.read.bind(socket);
      socket.read = (size?: number) => {
        const chunk: unknown = read(size);
        if (Buffer.isBuffer(chunk)) broker.bytes += chunk.length;
        return chunk;
      };
      aedes.handle(socket);
    },
  );
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));

  const publish = (topic: string, message: object): Promise<void> =>
    new Promise((resolve, reject) => {
      const packet = {
        cmd: 'publish',
        topic,
        payload: JSON.stringify(message),
        qos: 1,
        retain: false,
        dup: false,
      } as const;
      aedes.publish(packet, (error) => (error ? reject(error) : resolve()));
    });

  const broker: StandInBroker = {
    port: addressOf(server.address()).port,
    aedes,
    seen: [],
    wanted: [],
    serialNumbers: [],
    connects: 0,
    bytes: 0,
    maySubscribe: () => true,
    mayConnect: () => true,
    answer: () => undefined,
    publish,
    disconnectAll: () => {
      for (const socket of sockets) socket.destroy();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
    },
  };
  aedes.authenticate = (client, _username, _password, done) => {
    broker.connects++;
    const serialNumber = serialNumberOf(client.conn);
    broker.serialNumbers.push(serialNumber);
    if (broker.mayConnect(client.id, serialNumber)) done(null, true);
    else done(Object.assign(new Error('refused'), { returnCode: 5 }), false);
  };
  aedes.authorizeSubscribe = (client, subscription, done) => {
    broker.wanted.push(subscription.topic);
    done(null, client !== null && broker.maySubscribe(subscription.topic, client.id) ? subscription : null);
  };
  aedes.on('publish', (packet: AedesPublishPacket, client: Client | null) => {
    if (client === null) return;
    const json = z.record(z.string(), z.unknown()).parse(JSON.parse(packet.payload.toString()));
    const message = { clientId: client.id, topic: packet.topic, json };
    broker.seen.push(message);
    if (message.json['type'] !== 'command') return;
    void Promise.resolve(broker.answer(message)).then((answer) => answer && publish(packet.topic, answer));
  });
  return broker;
}

function serialNumberOf(connection: unknown): string {
  return connection instanceof TLSSocket ? connection.getPeerCertificate().serialNumber : '';
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new Error('not listening on TCP');
  return address;
}
