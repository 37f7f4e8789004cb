import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { Authority, generateKeys, type IssuedCertificate, type KeyObject, writePrivateKey } from './index.js';
import { isTrustedClient, peerFault, refuseUntrustedClients, serverFault } from './peer.js';

interface Identity {
  readonly cert: string;
  readonly key: string;
}

const dayMs = 86_400_000;
/** The right time. To the system, whose clock is behind, certificates of today are from the future. */
const nowMs = Date.now() + 400 * dayMs;

async function createAuthority(): Promise<{ root: Authority; issuing: Authority }> {
  const root = Authority.createRoot({
    commonName: 'Root',
    keys: await generateKeys(),
    nowMs,
    validityMs: 1_000 * dayMs,
    pathLength: 1,
  });
  const { publicKey, privateKey } = await generateKeys();
  const request = { commonName: 'Issuing', publicKey, nowMs, validityMs: 900 * dayMs, pathLength: 0 };
  return { root, issuing: new Authority(root.issueAuthority(request).pem, privateKey, root.chain) };
}

async function identity(
  authority: Authority,
  issue: (authority: Authority, publicKey: KeyObject) => IssuedCertificate,
): Promise<Identity> {
  const { publicKey, privateKey } = await generateKeys();
  return { cert: authority.withChain(issue(authority, publicKey).pem), key: writePrivateKey(privateKey) };
}

const deviceOf = (authority: Authority, validityMs?: number): Promise<Identity> =>
  identity(authority, (ca, publicKey) =>
    ca.issueDevice({ deviceId: 'lamp', publicKey, nowMs, ...(validityMs === undefined ? {} : { validityMs }) }),
  );
const serverOf = (authority: Authority, host = '127.0.0.1'): Promise<Identity> =>
  identity(authority, (ca, publicKey) => ca.issueServer({ commonName: 'broker', hosts: [host], publicKey, nowMs }));

let root: Authority;
let issuing: Authority;
let server: Identity;
beforeAll(async () => {
  ({ root, issuing } = await createAuthority());
  server = await serverOf(issuing);
});

/** What both ends say of each other, by their own time. */
async function shakeHands(
  ends: { server?: Identity; client?: Identity; nowMs?: number } = {},
): Promise<{ ofClient: string | undefined; ofServer: string | undefined }> {
  const request = { trustAnchors: [root.certificate], nowMs: ends.nowMs ?? nowMs };
  const listener = createServer({
    ...(ends.server ?? server),
    ca: root.certificate,
    requestCert: true,
    rejectUnauthorized: false,
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port }: AddressInfo = Object.assign({ address: '', family: '', port: 0 }, listener.address());
  const accepted: Promise<TLSSocket[]> = once(listener, 'secureConnection');
  const socket = connect({ ...ends.client, host: '127.0.0.1', port, ca: root.certificate, rejectUnauthorized: false });
  const [[peer]] = await Promise.all([accepted, once(socket, 'secureConnect')]);
  if (peer === undefined) throw new Error('unreachable');
  const verdict = {
    ofClient: peerFault(peer, { ...request, purpose: 'client' }),
    ofServer: serverFault(socket, '127.0.0.1', request),
  };
  socket.destroy();
  peer.destroy();
  listener.close();
  await once(listener, 'close');
  return verdict;
}

describe('on a machine whose clock is behind', () => {
  it('both ends are trusted by the right time, and by the system’s not', async () => {
    const client = await deviceOf(issuing);
    expect(await shakeHands({ client })).toEqual({ ofClient: undefined, ofServer: undefined });
    expect(await shakeHands({ client, nowMs: Date.now() })).toEqual({
      ofClient: 'CERT_NOT_YET_VALID',
      ofServer: 'CERT_NOT_YET_VALID',
    });
  });

  it('a certificate that has ended by the right time is refused', async () => {
    const client = await deviceOf(issuing, dayMs);
    expect((await shakeHands({ client, nowMs: nowMs + 2 * dayMs })).ofClient).toBe('CERT_HAS_EXPIRED');
  });

  it('everything else is looked at that dates would have hidden', async () => {
    const foreign = await createAuthority();
    expect((await shakeHands({ client: await deviceOf(foreign.issuing) })).ofClient).toBeDefined();
    expect((await shakeHands({ client: server })).ofClient).toBe('INVALID_PURPOSE');
    expect((await shakeHands({})).ofClient).toBeDefined();
    expect((await shakeHands({ server: await deviceOf(issuing) })).ofServer).toBe('INVALID_PURPOSE');
    expect((await shakeHands({ server: await serverOf(foreign.issuing) })).ofServer).toBeDefined();
    expect((await shakeHands({ server: await serverOf(issuing, 'other.test') })).ofServer).toContain('ALTNAME');
    const { publicKey, privateKey } = await generateKeys();
    const device = issuing.issueDevice({ deviceId: 'lamp', publicKey, nowMs });
    const pretender = new Authority(device.pem, privateKey, issuing.chain);
    expect((await shakeHands({ client: await deviceOf(pretender) })).ofClient).toBeDefined();
  });
});

describe('a server that judges clients itself', () => {
  it('ends the connections of those that it does not trust, and reads nothing of theirs', async () => {
    const listener = createServer({ ...server, ca: root.certificate, requestCert: true, rejectUnauthorized: false });
    const heard: string[] = [];
    listener.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => undefined);
      socket.on('data', (data: Buffer) => {
        heard.push(data.toString());
        socket.end(String(isTrustedClient(socket)));
      });
    });
    refuseUntrustedClients(listener, () => ({ trustAnchors: [root.certificate], nowMs }));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port }: AddressInfo = Object.assign({ address: '', family: '', port: 0 }, listener.address());
    const say = async (words: string, client?: Identity): Promise<string> => {
      const socket = connect({ ...client, host: '127.0.0.1', port, rejectUnauthorized: false });
      socket.on('error', () => undefined);
      socket.write(words);
      let answer = '';
      socket.on('data', (data: Buffer) => {
        answer += data.toString();
      });
      await once(socket, 'close');
      return answer;
    };
    const stranger = await createAuthority();
    expect(await say('known', await deviceOf(issuing))).toBe('true');
    expect(await say('foreign', await deviceOf(stranger.issuing))).toBe('');
    expect(await say('nobody')).toBe('');
    expect(heard).toEqual(['known']);
    listener.close();
    await once(listener, 'close');
  });
});

describe('on a machine whose clock was set back', () => {
  it('a certificate that is valid by the system’s time, and has ended by the right one, is refused', async () => {
    const today = Date.now();
    const own = Authority.createRoot({
      commonName: 'Root',
      keys: await generateKeys(),
      nowMs: today,
      validityMs: 1_000 * dayMs,
    });
    root = own;
    const ends = {
      server: await identity(own, (ca, publicKey) =>
        ca.issueServer({ commonName: 'broker', hosts: ['127.0.0.1'], publicKey, nowMs: today, validityMs: 10 * dayMs }),
      ),
      client: await identity(own, (ca, publicKey) =>
        ca.issueDevice({ deviceId: 'lamp', publicKey, nowMs: today, validityMs: 10 * dayMs }),
      ),
    };
    for (const nowMs of [today, today + 9 * dayMs]) {
      expect(await shakeHands({ ...ends, nowMs })).toEqual({ ofClient: undefined, ofServer: undefined });
    }
    expect(await shakeHands({ ...ends, nowMs: today + 11 * dayMs })).toEqual({
      ofClient: 'CERT_HAS_EXPIRED',
      ofServer: 'CERT_HAS_EXPIRED',
    });
  });
});
