import { X509Certificate } from 'node:crypto';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { Authority } from './authority.js';
import { deviceSubject, homeOfAuthority, homeUnit, isLocalHost } from './homes.js';
import { generateKeys, type KeyPair, writePrivateKey } from './keys.js';
import { readCertificate } from './certificate.js';
import { joinPem } from './pem.js';
import { ISSUING_AUTHORITY_VALIDITY_MS, ROOT_VALIDITY_MS } from './validity.js';

const nowMs = Date.now();
const root = Authority.createRoot({
  commonName: 'Operator Root',
  keys: await generateKeys(),
  nowMs,
  validityMs: ROOT_VALIDITY_MS,
  pathLength: 1,
});

const commonName = 'Gateway CA';

async function gatewayAuthority(use: 'devices' | 'servers'): Promise<Authority> {
  return gatewayAuthorityOf(root, use, await generateKeys(), 'home-1');
}

function gatewayAuthorityOf(above: Authority, use: 'devices' | 'servers', keys: KeyPair, homeId: string): Authority {
  const { pem } = above.issueGatewayAuthority({ commonName, homeId, use, publicKey: keys.publicKey, nowMs });
  return new Authority(pem, keys.privateKey);
}

/** The same name and key as the honest CA, confined otherwise or not at all: what the holder of the key can sign. */
async function forgerOf(keys: KeyPair, homeId: string | undefined): Promise<Authority> {
  const request = { keys, nowMs, validityMs: ROOT_VALIDITY_MS };
  if (homeId === undefined) return Authority.createRoot({ ...request, commonName });
  const above = Authority.createRoot({ ...request, commonName: 'Forger', keys: await generateKeys() });
  return gatewayAuthorityOf(above, 'devices', keys, homeId);
}

interface Shown {
  readonly cert: string;
  readonly key: string;
}

const shown = (cert: string, { privateKey }: KeyPair): Shown => ({ cert, key: writePrivateKey(privateKey) });

/** What the server's TLS says of a client with this certificate; undefined if it is trusted. */
async function distrustOfClient(client: Shown, trusted = root.certificate): Promise<string | undefined> {
  const keys = await generateKeys();
  const server = root.issueServer({ commonName: 'cloud', hosts: ['localhost'], publicKey: keys.publicKey, nowMs });
  return handshake(
    shown(server.pem, keys),
    client,
    (socket) => String(socket.authorizationError ?? ''),
    'localhost',
    trusted,
  );
}

/** What a client says of a server with this certificate. */
async function distrustOfServer(server: Shown, servername: string): Promise<string | undefined> {
  return handshake(server, undefined, undefined, servername);
}

async function handshake(
  { cert, key }: Shown,
  client: Shown | undefined,
  judge: ((socket: TLSSocket) => string) | undefined,
  servername = 'localhost',
  trusted = root.certificate,
): Promise<string | undefined> {
  const server = createServer({ cert, key, ca: [trusted], requestCert: true, rejectUnauthorized: false });
  const judged = new Promise<string>((resolve) =>
    server.once('secureConnection', (socket) => resolve(judge?.(socket) ?? '')),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername,
    ca: [root.certificate],
    rejectUnauthorized: false,
    ...client,
  });
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  const verdict = judge === undefined ? String(socket.authorizationError ?? '') : await judged;
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  return verdict === '' ? undefined : verdict;
}

describe('a gateway’s CA for devices', () => {
  it('issues certificates that whoever trusts the operator’s root trusts, and that name the home', async () => {
    const authority = await gatewayAuthority('devices');
    const keys = await generateKeys();
    const { pem } = authority.issueDevice({ deviceId: 'lamp-1', publicKey: keys.publicKey, nowMs });
    expect(readCertificate(pem)).toMatchObject({ commonName: 'lamp-1', organizationalUnit: homeUnit('home-1') });
    expect(await distrustOfClient(shown(authority.withChain(pem), keys))).toBeUndefined();
    expect(homeOfAuthority(authority.certificate)).toBe('home-1');
    expect(homeOfAuthority(root.certificate)).toBeUndefined();
  });

  it.each(['lamp-1', 'lamp_1', '.', '-_-', 'x'.repeat(64)])(
    'gives %s the subject that is foretold',
    async (deviceId) => {
      const { publicKey } = await generateKeys();
      // One attribute a line, in the order in which they stand.
      const subjectOf = (authority: Authority): string =>
        new X509Certificate(authority.issueDevice({ deviceId, publicKey, nowMs }).pem).subject
          .split('\n')
          .reverse()
          .join(',');
      expect(subjectOf(await gatewayAuthority('devices'))).toBe(deviceSubject(deviceId, 'home-1'));
      expect(subjectOf(root)).toBe(deviceSubject(deviceId));
    },
  );

  it.each([
    ['no home', undefined],
    ['another home', 'home-2'],
    ['a home that differs in case', 'HOME-1'],
  ])('is not trusted with a subject of %s', async (_what, homeId) => {
    const authorityKeys = await generateKeys();
    const honest = gatewayAuthorityOf(root, 'devices', authorityKeys, 'home-1');
    const keys = await generateKeys();
    const forger = await forgerOf(authorityKeys, homeId);
    const { pem } = forger.issueDevice({ deviceId: 'lamp-1', publicKey: keys.publicKey, nowMs });
    const distrust = await distrustOfClient(shown(joinPem([pem, honest.certificate]), keys));
    // Node.js has no word for a name outside of what the CA may name.
    expect(distrust).toBe('UNSPECIFIED');
    // Nor if it sends its own version of the CA along.
    const both = joinPem([pem, forger.certificate, honest.certificate]);
    expect(await distrustOfClient(shown(both, keys))).toBeDefined();
  });

  it('makes no server that is trusted', async () => {
    const authority = await gatewayAuthority('devices');
    const keys = await generateKeys();
    const { pem } = authority.issueServer({ commonName: 'x', hosts: ['localhost'], publicKey: keys.publicKey, nowMs });
    expect(await distrustOfServer(shown(authority.withChain(pem), keys), 'localhost')).toBeDefined();
  });

  it('makes no CA that is trusted', async () => {
    const authority = await gatewayAuthority('devices');
    const below = await generateKeys();
    const { pem } = authority.issueAuthority({
      commonName: 'below',
      publicKey: below.publicKey,
      nowMs,
      validityMs: ISSUING_AUTHORITY_VALIDITY_MS,
      pathLength: 0,
    });
    const keys = await generateKeys();
    const leaf = new Authority(pem, below.privateKey).issueDevice({ deviceId: 'x', publicKey: keys.publicKey, nowMs });
    const chain = joinPem([leaf.pem, pem, authority.certificate]);
    expect(await distrustOfClient(shown(chain, keys))).toBeDefined();
  });
});

describe('a broker that trusts the platform’s own device CA only', () => {
  it('trusts its devices, and none of a gateway’s', async () => {
    const authorityKeys = await generateKeys();
    const { pem } = root.issueAuthority({
      commonName: 'Own Devices',
      publicKey: authorityKeys.publicKey,
      nowMs,
      validityMs: ISSUING_AUTHORITY_VALIDITY_MS,
      pathLength: 0,
    });
    const own = new Authority(pem, authorityKeys.privateKey);
    const gateways = await gatewayAuthority('devices');
    const distrustOf = async (authority: Authority): Promise<string | undefined> => {
      const keys = await generateKeys();
      const device = authority.issueDevice({ deviceId: 'lamp-1', publicKey: keys.publicKey, nowMs });
      return distrustOfClient(shown(authority.withChain(device.pem), keys), own.asTrustAnchor(nowMs));
    };
    expect(await distrustOf(own)).toBeUndefined();
    expect(await distrustOf(gateways)).toBeDefined();
  });
});

describe('a gateway’s CA for servers', () => {
  it('is trusted with names of a house’s network', async () => {
    const authority = await gatewayAuthority('servers');
    const keys = await generateKeys();
    const hosts = ['MQTT2GO.local', 'localhost', '192.168.1.7', '10.1.2.3', 'fe80::1', 'fd12::7', '::1', '127.0.0.1'];
    expect(hosts.every(isLocalHost)).toBe(true);
    const { pem } = authority.issueServer({ commonName: 'MQTT2GO.local', hosts, publicKey: keys.publicKey, nowMs });
    expect(await distrustOfServer(shown(authority.withChain(pem), keys), 'MQTT2GO.local')).toBeUndefined();
  });

  it.each(['cloud.example.org', 'notlocal', '8.8.8.8', '2001:db8::1'])('is not trusted with %s', async (host) => {
    const authority = await gatewayAuthority('servers');
    const keys = await generateKeys();
    expect(isLocalHost(host)).toBe(false);
    const hosts = ['localhost', host];
    const { pem } = authority.issueServer({ commonName: 'x', hosts, publicKey: keys.publicKey, nowMs });
    expect(await distrustOfServer(shown(authority.withChain(pem), keys), 'localhost')).toBe('UNSPECIFIED');
  });

  it('makes no client that is trusted', async () => {
    const authority = await gatewayAuthority('servers');
    const keys = await generateKeys();
    const { pem } = authority.issueDevice({ deviceId: 'lamp-1', publicKey: keys.publicKey, nowMs });
    expect(await distrustOfClient(shown(authority.withChain(pem), keys))).toBeDefined();
  });
});

describe('a gateway’s own certificate', () => {
  it('is for clients, and called as no device can be', async () => {
    const keys = await generateKeys();
    const { pem } = root.issueGateway({ homeId: 'home-1', gatewayId: 'gw-1', publicKey: keys.publicKey, nowMs });
    expect(readCertificate(pem).commonName).toMatch(/^gateway:[0-9a-f]{40}$/);
    expect(await distrustOfClient(shown(pem, keys))).toBeUndefined();
    expect(await distrustOfServer(shown(pem, keys), 'localhost')).toBeDefined();
  });
});
