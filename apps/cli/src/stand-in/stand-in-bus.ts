import { writePlatformFile } from '@mqtt2go/config';
import { Authority, generateKeys, writePrivateKey } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Aedes } from 'aedes';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { z } from 'zod';

const request = z.object({ id: z.string(), data: z.object({ body: z.unknown() }) });
const nowMs = Date.now();

export interface StandInBus {
  /** With platform.json and tls/, as a gateway leaves it. */
  readonly dataDir: string;
  /** PEM of the CA that devices carry. */
  readonly ca: string;
  /** Calls in their order. */
  readonly calls: { readonly pattern: string; readonly body: unknown }[];
  /** What a service answers, by topic; throws a Mqtt2goError to refuse. No answer is `{}`. */
  readonly answers: Map<string, (body: unknown) => unknown>;
  close(): Promise<void>;
}

/** The service bus of a platform that is not there: a real broker with mutual TLS, scripted answers. For tests only. */
export async function startStandInBus(): Promise<StandInBus> {
  const dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-cli-'));
  const tlsDir = join(dataDir, 'tls');
  await mkdir(join(tlsDir, 'services'), { recursive: true });
  const root = await makeRoot('stand-in root');
  const services = await makeRoot('stand-in services');
  const identify = async (service: string): Promise<{ cert: string; key: string }> => {
    const keys = await generateKeys();
    const hosts = ['127.0.0.1'];
    const issued = services.issueService({ service, hosts, publicKey: keys.publicKey, nowMs });
    return { cert: issued.pem, key: writePrivateKey(keys.privateKey) };
  };
  const operator = await identify('operator');
  await writeFile(join(tlsDir, 'ca.crt'), root.certificate);
  await writeFile(join(tlsDir, 'services-ca.crt'), services.certificate);
  await writeFile(join(tlsDir, 'services', 'operator.crt'), operator.cert);
  await writeFile(join(tlsDir, 'services', 'operator.key'), operator.key);

  const aedes = await Aedes.createBroker();
  const sockets = new Set<TLSSocket>();
  const identity = { ...(await identify('broker')), ca: services.certificate };
  const server = createServer({ ...identity, requestCert: true, rejectUnauthorized: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    aedes.handle(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = addressOf(server.address());

  const bus: StandInBus = {
    dataDir,
    ca: root.certificate,
    calls: [],
    answers: new Map(),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  aedes.on('publish', (packet, client) => {
    if (client === null) return;
    const { id, data } = request.parse(JSON.parse(packet.payload.toString()));
    bus.calls.push({ pattern: packet.topic, body: data.body });
    void answer(bus, packet.topic, data.body).then((reply) => {
      const payload = JSON.stringify({ id, ...reply });
      const topic = `${packet.topic}/reply`;
      aedes.publish({ cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false }, () => undefined);
    });
  });
  await writePlatformFile(dataDir, {
    host: 'localhost',
    ports: { home: 1883, homeWss: 1884, activation: 1885, discovery: 1886, bus: port, health: 1887 },
    busUrl: `mqtts://127.0.0.1:${port}`,
    controllerUrl: 'mqtts://localhost:1883',
    tlsDir,
    pid: process.pid,
    startedAt: new Date(nowMs).toISOString(),
  });
  return bus;
}

async function answer(bus: StandInBus, pattern: string, body: unknown): Promise<object> {
  try {
    return { response: (await bus.answers.get(pattern)?.(body)) ?? {}, isDisposed: true };
  } catch (error) {
    if (!(error instanceof Mqtt2goError)) throw error;
    return { err: { code: error.code, message: error.message }, isDisposed: true };
  }
}

async function makeRoot(commonName: string): Promise<Authority> {
  return Authority.createRoot({ commonName, keys: await generateKeys(), nowMs, validityMs: 24 * 60 * 60 * 1_000 });
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new Error('not listening on TCP');
  return address;
}
