import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  Authority,
  DEVICE_VALIDITY_MS,
  generateKeys,
  type IssuedCertificate,
  type KeyObject,
  ROOT_VALIDITY_MS,
  writePrivateKey,
} from './index.js';

interface Identity {
  readonly cert: string;
  readonly key: string;
}

interface Pki {
  readonly root: Authority;
  readonly issuing: Authority;
  identity(issue: (publicKey: KeyObject) => IssuedCertificate): Promise<Identity>;
}

async function createPki(nowMs = Date.now()): Promise<Pki> {
  const [rootKeys, issuingKeys] = await Promise.all([generateKeys(), generateKeys()]);
  const root = Authority.createRoot({
    commonName: 'Root',
    keys: rootKeys,
    nowMs,
    validityMs: ROOT_VALIDITY_MS,
    pathLength: 1,
  });
  const request = { publicKey: issuingKeys.publicKey, nowMs, validityMs: ROOT_VALIDITY_MS, pathLength: 0 };
  const issuing = new Authority(
    root.issueAuthority({ commonName: 'Issuing', ...request }).pem,
    issuingKeys.privateKey,
    root.chain,
  );
  return {
    root,
    issuing,
    async identity(issue) {
      const keys = await generateKeys();
      return { cert: issuing.withChain(issue(keys.publicKey).pem), key: writePrivateKey(keys.privateKey) };
    },
  };
}

/** Both ends' view of one handshake: `undefined` where an end is content with the other. */
async function shakeHands(ends: {
  server: Identity;
  client: Identity | undefined;
  serverTrusts: string;
  clientTrusts: string;
}): Promise<{ server: string | undefined; client: string | undefined; name: string | undefined }> {
  const server = createServer({
    ...ends.server,
    ca: ends.serverTrusts,
    requestCert: true,
    rejectUnauthorized: false,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port }: AddressInfo = Object.assign({ address: '', family: '', port: 0 }, server.address());
  const accepted: Promise<TLSSocket[]> = once(server, 'secureConnection');
  const socket = connect({ ...ends.client, host: '127.0.0.1', port, ca: ends.clientTrusts, rejectUnauthorized: false });
  const [[peer]] = await Promise.all([accepted, once(socket, 'secureConnect')]);
  const faultOf = (end: TLSSocket | undefined) =>
    end?.authorized === true ? undefined : String(end?.authorizationError);
  const verdict = {
    server: faultOf(peer),
    client: faultOf(socket),
    name: ends.client === undefined ? undefined : String(peer?.getPeerCertificate().subject.CN),
  };
  socket.destroy();
  peer?.destroy();
  server.close();
  await once(server, 'close');
  return verdict;
}

let pki: Pki;
let server: Identity;
let device: Identity;

beforeAll(async () => {
  pki = await createPki();
  const nowMs = Date.now();
  server = await pki.identity((publicKey) =>
    pki.issuing.issueServer({ commonName: 'home-broker', hosts: ['localhost', '127.0.0.1'], publicKey, nowMs }),
  );
  device = await pki.identity((publicKey) => pki.issuing.issueDevice({ deviceId: 'lamp', publicKey, nowMs }));
});

function withTrust(ends: { server?: Identity; client?: Identity | undefined }) {
  const trusts = pki.root.certificate;
  return { server, client: device, ...ends, serverTrusts: trusts, clientTrusts: trusts };
}

describe('a TLS handshake', () => {
  it('takes a device as a client of a server', async () => {
    expect(await shakeHands(withTrust({}))).toEqual({ server: undefined, client: undefined, name: 'lamp' });
  });

  it('refuses a device as a server', async () => {
    const verdict = await shakeHands(withTrust({ server: device }));
    expect(verdict.client).toContain('INVALID_PURPOSE');
  });

  it('refuses a server as a client', async () => {
    const verdict = await shakeHands(withTrust({ client: server }));
    expect(verdict.server).toContain('INVALID_PURPOSE');
  });

  it('takes a service at both ends', async () => {
    const service = await pki.identity((publicKey) =>
      pki.issuing.issueService({ service: 'discovery', hosts: ['127.0.0.1'], publicKey, nowMs: Date.now() }),
    );
    const verdict = await shakeHands(withTrust({ server: service, client: service }));
    expect(verdict).toEqual({ server: undefined, client: undefined, name: 'discovery' });
  });

  it('takes a pre-loaded certificate that never expires', async () => {
    const preloaded = await pki.identity((publicKey) =>
      pki.issuing.issuePreloadedDevice({ deviceId: 'plug', publicKey, nowMs: Date.now() }),
    );
    expect(await shakeHands(withTrust({ client: preloaded }))).toMatchObject({ server: undefined, name: 'plug' });
  });

  it('refuses a device of a foreign CA with the same names', async () => {
    const foreign = await createPki();
    const stranger = await foreign.identity((publicKey) =>
      foreign.issuing.issueDevice({ deviceId: 'lamp', publicKey, nowMs: Date.now() }),
    );
    const verdict = await shakeHands(withTrust({ client: stranger }));
    expect(verdict.server).toBeDefined();
  });

  it('refuses a server of a foreign CA, so that the device walks away', async () => {
    const foreign = await createPki();
    const impostor = await foreign.identity((publicKey) =>
      foreign.issuing.issueServer({ commonName: 'x', hosts: ['127.0.0.1'], publicKey, nowMs: Date.now() }),
    );
    const verdict = await shakeHands(withTrust({ server: impostor }));
    expect(verdict.client).toBeDefined();
  });

  it('refuses an expired certificate', async () => {
    const expired = await pki.identity((publicKey) =>
      pki.issuing.issueDevice({ deviceId: 'lamp', publicKey, nowMs: Date.now() - DEVICE_VALIDITY_MS - 5000 }),
    );
    expect((await shakeHands(withTrust({ client: expired }))).server).toBe('CERT_HAS_EXPIRED');
  });

  it('refuses a server under a name that is not in its certificate', async () => {
    const other = await pki.identity((publicKey) =>
      pki.issuing.issueServer({ commonName: '127.0.0.1', hosts: ['other.test'], publicKey, nowMs: Date.now() }),
    );
    expect((await shakeHands(withTrust({ server: other }))).client).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('refuses a certificate that a device signed', async () => {
    const keys = await generateKeys();
    const issued = pki.issuing.issueDevice({ deviceId: 'lamp', publicKey: keys.publicKey, nowMs: Date.now() });
    const pretender = new Authority(issued.pem, keys.privateKey, pki.issuing.chain);
    const victimKeys = await generateKeys();
    const forged = pretender.issueDevice({ deviceId: 'victim', publicKey: victimKeys.publicKey, nowMs: Date.now() });
    const client = { cert: pretender.withChain(forged.pem), key: writePrivateKey(victimKeys.privateKey) };
    expect((await shakeHands(withTrust({ client }))).server).toBeDefined();
  });
});
