import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TlsOptions } from 'node:tls';
import { Authority, generateKeys, type IssuedCertificate, type KeyObject, writePrivateKey } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { BridgeQueue } from '../bridge/bridge-queue.js';
import { BridgeSession } from '../bridge/bridge-session.js';
import { HttpsCloudLink } from './https-cloud-link.js';
import { listManufacturers } from './verbs.js';

const dayMs = 86_400_000;
/** The right time; the system's clock is behind it. */
const rightMs = Date.now() + 1_000 * dayMs;
const validMs = 100 * dayMs;

class ClockAt extends Clock {
  constructor(
    private readonly ms: number,
    private readonly floor = false,
  ) {
    super();
  }
  override get isFloor(): boolean {
    return this.floor;
  }
  override now(): number {
    return this.ms;
  }
}
const right = new ClockAt(rightMs);

type Shown = Pick<TlsOptions, 'cert' | 'key'>;
type Issue = (authority: Authority, publicKey: KeyObject) => IssuedCertificate;

let root: Authority;
let servers: Authority;

beforeAll(async () => {
  const born = { nowMs: rightMs - 10 * dayMs };
  root = Authority.createRoot({
    ...born,
    commonName: 'Root',
    keys: await generateKeys(),
    validityMs: 5_000 * dayMs,
    pathLength: 1,
  });
  const { publicKey, privateKey } = await generateKeys();
  const { pem } = root.issueAuthority({
    ...born,
    commonName: 'Servers',
    publicKey,
    validityMs: 4_000 * dayMs,
    pathLength: 0,
  });
  servers = new Authority(pem, privateKey, root.chain);
});

async function shown(issue: Issue, authority = servers): Promise<Shown> {
  const { publicKey, privateKey } = await generateKeys();
  return { cert: authority.withChain(issue(authority, publicKey).pem), key: writePrivateKey(privateKey) };
}
const named =
  (hosts: readonly string[], nowMs = rightMs): Issue =>
  (authority, publicKey) =>
    authority.issueServer({ commonName: 'cloud', hosts: [...hosts], publicKey, nowMs, validityMs: validMs });

/** The CA that the operator gave another home's gateway. */
async function gatewayServers(): Promise<Authority> {
  const { publicKey, privateKey } = await generateKeys();
  const { pem } = root.issueGatewayAuthority({
    commonName: 'Gateway',
    homeId: 'home-2',
    use: 'servers',
    publicKey,
    nowMs: rightMs - dayMs,
  });
  return new Authority(pem, privateKey, root.chain);
}

let listening: Server | undefined;
let heard: number;
afterEach(async () => {
  if (listening?.listening) await once(listening.close(), 'close');
});

async function listen(server: Server): Promise<number> {
  listening = server;
  heard = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port }: AddressInfo = Object.assign({ address: '', family: '', port: 0 }, server.address());
  return port;
}

/** What becomes of a request: the number of manufacturers, or why not. */
async function askBy(clock: Clock, server: Shown, options: TlsOptions = {}, times = 1): Promise<unknown> {
  const door = createHttpsServer({ ...server, ...options }, (_request, response) => {
    heard += 1;
    response.end(JSON.stringify({ manufacturers: [] }));
  });
  const port = await listen(door);
  const link = new HttpsCloudLink({ url: `https://localhost:${port}`, ca: root.certificate }, clock);
  let outcome: unknown;
  for (let time = 0; time < times; time += 1) {
    outcome = await link.call(listManufacturers, {}, { retries: 0 }).then(
      ({ manufacturers }) => manufacturers.length,
      (error: Error) => error.message,
    );
  }
  await link.close();
  return outcome;
}

/** Why the bridge does not come to this broker, which answers nothing. */
async function bridgeBy(clock: Clock, server: Shown): Promise<unknown> {
  const broker = createServer(server, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => {
      heard += 1;
      socket.end();
    });
  });
  const port = await listen(broker);
  const session = new BridgeSession({
    target: { url: `mqtts://localhost:${port}`, username: 'bridge@home-1', password: 'secret' },
    ca: root.certificate,
    clock,
    filters: [],
    // Nothing is sent before the broker has answered.
    queue: {} as BridgeQueue,
    deliver: async () => undefined,
  });
  return session.run(() => undefined).catch((error: Error) => error.message);
}

describe.each([
  ['the link', askBy],
  ['the bridge', bridgeBy],
])('%s to the cloud, on a box whose clock is behind', (what, attempt) => {
  it('goes by the platform’s time', async () => {
    const outcome = await attempt(right, await shown(named(['localhost'])));
    expect(heard).toBe(1);
    if (what === 'the link') expect(outcome).toBe(0);
  });

  it('goes to a cloud that was renewed since the box knew the time for the last time', async () => {
    await attempt(new ClockAt(rightMs - dayMs, true), await shown(named(['localhost'])));
    expect(heard).toBe(1);
  });

  it.each<[string, Clock, () => Promise<Shown>, string]>([
    ['has ended', right, () => shown(named(['localhost'], rightMs - 2 * validMs)), 'CERT_HAS_EXPIRED'],
    [
      'had ended before the last known time',
      new ClockAt(rightMs, true),
      () => shown(named(['localhost'], rightMs - 2 * validMs)),
      'CERT_HAS_EXPIRED',
    ],
    ['begins later', right, () => shown(named(['localhost'], rightMs + dayMs)), 'CERT_NOT_YET_VALID'],
    ['names another', right, () => shown(named(['cloud.example'])), 'ALTNAME'],
    [
      'is a device’s',
      right,
      () => shown((ca, publicKey) => ca.issueDevice({ deviceId: 'localhost', publicKey, nowMs: rightMs })),
      'INVALID_PURPOSE',
    ],
    [
      'is from the CA of another home’s gateway, and names more than that may',
      right,
      async () => shown(named(['localhost', 'cloud.example']), await gatewayServers()),
      // Node.js has no word for a name outside of what the CA may name.
      'UNSPECIFIED',
    ],
    [
      'is of another operator',
      right,
      async () =>
        shown(
          named(['localhost']),
          Authority.createRoot({ commonName: 'Root', keys: await generateKeys(), nowMs: rightMs, validityMs: validMs }),
        ),
      'UNABLE_TO',
    ],
  ])('says nothing to one whose certificate %s', async (_what, clock, certificate, reason) => {
    expect(await attempt(clock, await certificate())).toContain(reason);
    expect(heard).toBe(0);
  });
});

describe('on a box whose clock is right', () => {
  const today = new ClockAt(Date.now());
  let own: Authority;

  beforeAll(async () => {
    const nowMs = Date.now() - 400 * dayMs;
    own = Authority.createRoot({ commonName: 'Root', keys: await generateKeys(), nowMs, validityMs: 2_000 * dayMs });
    root = own;
  });

  it('a cloud with a wrong name is refused again when its session could be taken up', async () => {
    const stranger = await shown(named(['cloud.example'], Date.now()), own);
    // With this version the session is there before the end of the handshake.
    expect(await askBy(today, stranger, { maxVersion: 'TLSv1.2' }, 3)).toContain('ALTNAME');
    expect(heard).toBe(0);
  });

  it('a certificate that has ended is refused, and one that has not is taken', async () => {
    const past = await shown(named(['localhost'], Date.now() - 2 * validMs), own);
    expect(await askBy(today, past)).toContain('CERT_HAS_EXPIRED');
    expect(heard).toBe(0);
    expect(await askBy(today, await shown(named(['localhost'], Date.now()), own))).toBe(0);
    expect(heard).toBe(1);
  });
});
