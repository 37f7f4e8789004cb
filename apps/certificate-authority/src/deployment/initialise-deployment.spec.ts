import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { certificateAuthority } from '@mqtt2go/messaging';
import {
  createEncryptionKey,
  namesAllHosts,
  readCertificate,
  SERVER_RENEWAL_MS,
  SERVER_VALIDITY_MS,
  splitDeviceBundle,
} from '@mqtt2go/pki';
import { FakeClock } from '@mqtt2go/ports';
import { createTestDatabase, silentLogger, type TestDatabase } from '@mqtt2go/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuthorityStand } from '../../test/authority-stand.js';
import type { Identity } from './identity-files.js';
import { type DeploymentFiles, initialiseDeployment } from './initialise-deployment.js';

let database: TestDatabase;
let tlsDir: string;
let clock: FakeClock;
let encryptionKey: string;

beforeEach(async () => {
  database = await createTestDatabase();
  tlsDir = await mkdtemp(join(tmpdir(), 'mqtt2go-tls-'));
  clock = new FakeClock();
  encryptionKey = createEncryptionKey();
});
afterEach(async () => {
  await rm(tlsDir, { recursive: true });
  await database.drop();
});

const initialise = (publicHost = 'mqtt.example.org') =>
  initialiseDeployment({ databaseUrl: database.url, encryptionKey, tlsDir, publicHost, clock, log: silentLogger });

const read = (...path: string[]) => readFile(join(tlsDir, ...path), 'utf8');
const identitiesOf = ({ servers, services }: DeploymentFiles): Record<string, Identity> => ({
  ...servers,
  ...services,
});

describe('initialising a deployment', () => {
  it('writes all files, the keys for the owner only', async () => {
    const files = await initialise();
    expect(await read('ca.crt')).toBe(files.ca);
    expect(await read('services-ca.crt')).toBe(files.servicesCa);
    const paths = [
      ...Object.keys(files.servers).map((name) => [name]),
      ...Object.keys(files.services).map((name) => ['services', name]),
    ];
    expect(paths.map((path) => path.at(-1) ?? '').toSorted((a, b) => a.localeCompare(b))).toEqual([
      'activation-broker',
      'broker',
      'certificate-authority',
      'discovery',
      'discovery',
      'federation',
      'federation',
      'home-broker',
      'operator',
      'provisioning',
      'topic-generator',
    ]);
    for (const path of paths) {
      expect((await stat(`${join(tlsDir, ...path)}.key`)).mode & 0o777).toBe(0o600);
      expect((await stat(`${join(tlsDir, ...path)}.crt`)).mode & 0o777).toBe(0o644);
    }
    expect(await read('home-broker.crt')).toBe(files.servers['home-broker'].cert);
    expect(readCertificate(await read('services', 'operator.crt')).commonName).toBe('operator');
  });

  it('changes nothing the second time', async () => {
    const files = await initialise();
    expect(await initialise()).toEqual(files);
  });

  it('names all that the servers may be called by', async () => {
    const { servers, services } = await initialise();
    const ownName = /^[a-z0-9.-]+$/i.test(hostname()) ? [hostname()] : [];
    const hosts = ['localhost', '127.0.0.1', '::1', 'mqtt.example.org', ...ownName];
    expect(namesAllHosts(servers['home-broker'].cert, hosts)).toBe(true);
    expect(namesAllHosts(services.broker.cert, hosts)).toBe(true);
    expect(namesAllHosts(servers.discovery.cert, ['elsewhere.example.org'])).toBe(false);
  });

  it('renews what names another host, keeping the CAs', async () => {
    const before = await initialise();
    const after = await initialise('198.51.100.7');
    expect(after.ca).toBe(before.ca);
    expect(namesAllHosts(after.servers['home-broker'].cert, ['198.51.100.7'])).toBe(true);
    expect(after.servers['home-broker'].key).not.toBe(before.servers['home-broker'].key);
  });

  it('renews what ends within 30 days, and nothing earlier', async () => {
    const before = await initialise();
    clock.advance(SERVER_VALIDITY_MS - SERVER_RENEWAL_MS - 60_000);
    expect(await initialise()).toEqual(before);
    clock.advance(60_000);
    const after = await initialise();
    for (const [name, identity] of Object.entries(identitiesOf(after))) {
      expect(identity.cert).not.toBe(identitiesOf(before)[name]?.cert);
    }
  });

  it('makes anew what begins in the future, made while the clock was wrong', async () => {
    await initialise();
    clock.advance(380 * 86_400_000);
    const before = await initialise();
    clock.advance(-375 * 86_400_000);
    const after = await initialise();
    for (const [name, identity] of Object.entries(identitiesOf(after))) {
      expect(identity.cert).not.toBe(identitiesOf(before)[name]?.cert);
      expect(readCertificate(identity.cert).notBeforeMs).toBeLessThan(clock.now());
    }
  });

  it('makes anew what is missing, half, no pair or of another CA, and only that', async () => {
    const before = await initialise();
    const stranger = { ...before.servers.discovery };
    await rm(join(tlsDir, 'home-broker.key'));
    await truncate(join(tlsDir, 'services', 'operator.crt'), 100);
    await writeFile(join(tlsDir, 'activation-broker.key'), stranger.key);
    await writeFile(join(tlsDir, 'services', 'provisioning.crt'), stranger.cert);
    await writeFile(join(tlsDir, 'services', 'provisioning.key'), stranger.key);
    const after = await initialise();
    for (const changed of [
      (files: DeploymentFiles) => files.servers['home-broker'],
      (files: DeploymentFiles) => files.servers['activation-broker'],
      (files: DeploymentFiles) => files.services.operator,
      (files: DeploymentFiles) => files.services.provisioning,
    ]) {
      expect(changed(after)).not.toEqual(changed(before));
    }
    expect(after.servers.discovery).toEqual(before.servers.discovery);
    expect(after.services.broker).toEqual(before.services.broker);
    expect(await initialise()).toEqual(after);
  });

  it('refuses another encryption key, and leaves the files as they are', async () => {
    const before = await initialise();
    await chmod(join(tlsDir, 'ca.crt'), 0o644);
    encryptionKey = createEncryptionKey();
    await expect(initialise()).rejects.toMatchObject({ code: 'configuration_invalid' });
    expect(await read('ca.crt')).toBe(before.ca);
  });
});

/** How a server with this identity and trust anchor finds a client: `undefined` when it is content. */
async function verdictOn(server: Identity, trust: string, client: Identity): Promise<string | undefined> {
  const listener = createServer({ ...server, ca: trust, requestCert: true, rejectUnauthorized: false });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port }: AddressInfo = Object.assign({ address: '', family: '', port: 0 }, listener.address());
  const accepted = once(listener, 'secureConnection');
  const socket = connect({ ...client, host: '127.0.0.1', port, rejectUnauthorized: false });
  const [peer] = await accepted;
  const verdict = peer.authorized ? undefined : String(peer.authorizationError);
  socket.destroy();
  peer.destroy();
  listener.close();
  await once(listener, 'close');
  return verdict;
}

describe('the certificates of a deployment', () => {
  it('let devices in at the home broker and services at the doors for services, and not the other way round', async () => {
    // Handshakes go by the machine's clock.
    clock = new FakeClock(Date.now());
    const stand = await AuthorityStand.start();
    stand.clock.advance(Date.now() - stand.clock.now());
    try {
      await rm(tlsDir, { recursive: true });
      const files = await initialiseDeployment({
        databaseUrl: stand.databaseUrl,
        encryptionKey: stand.encryptionKey,
        tlsDir,
        publicHost: 'localhost',
        clock,
        log: silentLogger,
      });
      expect((await stand.call(certificateAuthority.getAuthority, {})).root).toBe(files.ca);
      const { deviceCertificate } = await stand.issue();
      const bundle = splitDeviceBundle(deviceCertificate);
      const device = { cert: bundle.certificate + bundle.chain.join(''), key: bundle.privateKey ?? '' };
      const home = files.servers['home-broker'];
      const door = files.services.broker;
      const service = files.services.provisioning;
      expect(await verdictOn(home, files.ca, device)).toBeUndefined();
      expect(await verdictOn(door, files.servicesCa, service)).toBeUndefined();
      expect(await verdictOn(home, files.ca, service)).toBeDefined();
      expect(await verdictOn(door, files.servicesCa, device)).toBeDefined();
      expect(await verdictOn(home, files.ca, files.servers.discovery)).toContain('INVALID_PURPOSE');
    } finally {
      await stand.stop();
    }
  });
});
