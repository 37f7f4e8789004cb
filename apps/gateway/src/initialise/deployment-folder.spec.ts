import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import {
  loadDeploymentConfig,
  readIdentity,
  readPlatformFile,
  readServiceFiles,
  readTlsFile,
  runnableServices,
} from '@mqtt2go/config';
import {
  createEncryptionKey,
  isKeyOf,
  namesAllHosts,
  readCertificate,
  readPrivateKey,
  SERVER_VALIDITY_MS,
} from '@mqtt2go/pki';
import { FakeClock } from '@mqtt2go/ports';
import { createTestDatabase, silentLogger, type TestDatabase } from '@mqtt2go/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeDeployment } from './deployment-folder.js';

const homeBroker = (name: string) => ({
  name,
  kind: 'mosquitto',
  url: `mqtts://${name}:8887`,
  host: `${name}.example.org`,
  port: 8883,
  controllerUrl: `mqtts://apps-${name}.example.org:8889`,
  controllerWebSocketUrl: `wss://web-${name}.example.org:8884`,
});
const brokers = {
  bus: { kind: 'mosquitto', url: 'mqtts://bus:8886' },
  activation: { kind: 'mosquitto', url: 'mqtts://activation:8888', host: 'activation.example.org', port: 8885 },
  home: [homeBroker('home-0'), homeBroker('home-1')],
};

let database: TestDatabase;
let clock: FakeClock;
let root: string;
let env: Record<string, string>;

beforeEach(async () => {
  database = await createTestDatabase();
  clock = new FakeClock();
  root = await mkdtemp(join(tmpdir(), 'mqtt2go-deployment-'));
  await writeFile(join(root, 'brokers.json'), JSON.stringify(brokers));
  env = {
    DATABASE_URL: database.url,
    MQTT2GO_KEY: createEncryptionKey(),
    MQTT2GO_BROKERS: join(root, 'brokers.json'),
    MQTT2GO_PUBLIC_HOST: 'mqtt.example.org',
    MQTT2GO_DISCOVERY_URL: 'https://discovery-service:8443',
    MQTT2GO_FEDERATION_URL: 'https://gateways.example.org',
    MQTT2GO_DEPLOYMENT_DIR: join(root, 'deployment'),
  };
});
afterEach(async () => {
  await rm(root, { recursive: true });
  await database.drop();
});

const write = () => writeDeployment({ config: loadDeploymentConfig(env), clock, log: silentLogger });
const at = (...path: string[]) => join(root, 'deployment', ...path);

async function allFiles(): Promise<Record<string, string>> {
  const entries = await readdir(at(), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  return Object.fromEntries(files.map((file, index) => [relative(at(), file), contents[index] ?? '']));
}

describe('a deployment', () => {
  it('has a folder for each process, with the keys of that process and no other', async () => {
    await write();
    const keys = Object.keys(await allFiles()).filter((file) => file.endsWith('.key'));
    expect(keys.toSorted((a, b) => a.localeCompare(b))).toEqual([
      'brokers/activation/server.key',
      'brokers/activation/services.key',
      'brokers/bus/services.key',
      'brokers/home-0/server.key',
      'brokers/home-0/services.key',
      'brokers/home-1/server.key',
      'brokers/home-1/services.key',
      'operator/services/operator.key',
      'services/certificate-authority/services/certificate-authority.key',
      'services/discovery/discovery.key',
      'services/discovery/services/discovery.key',
      'services/federation/federation.key',
      'services/federation/services/federation.key',
      'services/provisioning/services/provisioning.key',
      'services/topic-generator/services/topic-generator.key',
    ]);
  });

  it('gives each service a folder that it reads', async () => {
    await write();
    for (const service of runnableServices) {
      const { service: identity, servicesCa } = await readServiceFiles(at('services', service), service);
      expect(readCertificate(identity.cert).commonName).toBe(service);
      expect(isKeyOf(readPrivateKey(identity.key), identity.cert)).toBe(true);
      expect(servicesCa).toBe(await readFile(at('brokers', 'bus', 'services-ca.crt'), 'utf8'));
    }
    const rest = await readIdentity(at('services', 'discovery'), 'discovery');
    expect(namesAllHosts(rest.cert, ['discovery-service', 'mqtt.example.org', 'discovery', 'localhost'])).toBe(true);
    const door = await readIdentity(at('services', 'federation'), 'federation');
    expect(namesAllHosts(door.cert, ['gateways.example.org', 'mqtt.example.org', 'federation', 'localhost'])).toBe(
      true,
    );
    expect(await readTlsFile(at('services', 'federation'), 'ca.crt')).toBe(
      await readFile(at('operator', 'ca.crt'), 'utf8'),
    );
  });

  it('gives each broker certificates for its own names, readable by its group, and nobody access', async () => {
    await write();
    const certificate = (broker: string, name: string) => readFile(at('brokers', broker, `${name}.crt`), 'utf8');
    const told = ['home-1.example.org', 'apps-home-1.example.org', 'web-home-1.example.org', 'mqtt.example.org'];
    expect(namesAllHosts(await certificate('home-1', 'server'), told)).toBe(true);
    expect(namesAllHosts(await certificate('home-0', 'server'), ['home-1.example.org'])).toBe(false);
    expect(namesAllHosts(await certificate('home-0', 'services'), ['home-0', '127.0.0.1'])).toBe(true);
    expect(namesAllHosts(await certificate('activation', 'server'), ['activation.example.org'])).toBe(true);
    for (const name of ['server.key', 'services.key', 'mosquitto.conf', 'services.acl']) {
      expect((await stat(at('brokers', 'home-0', name))).mode & 0o777).toBe(0o640);
    }
    const access = JSON.parse(await readFile(at('brokers', 'home-0', 'access', 'dynamic-security.json'), 'utf8'));
    expect(access.clients).toEqual([]);
    expect(await readdir(at('brokers', 'activation', 'access', 'trust'))).toEqual([]);
    expect(await readdir(at('brokers', 'bus'))).not.toContain('access');
  });

  it('gives a broker for homes with gateways a folder for their CAs, beside that of the platform’s devices', async () => {
    const home = [homeBroker('home-0'), { ...homeBroker('home-1'), gateways: true }];
    await writeFile(join(root, 'brokers.json'), JSON.stringify({ ...brokers, home }));
    await write();
    const trust = 'capath /mosquitto/config/access/trust';
    expect(await readFile(at('brokers', 'home-1', 'mosquitto.conf'), 'utf8')).toContain(`devices-ca.crt\n`);
    expect(await readFile(at('brokers', 'home-1', 'mosquitto.conf'), 'utf8')).toContain(trust);
    expect(await readFile(at('brokers', 'home-0', 'mosquitto.conf'), 'utf8')).not.toContain('capath');
    expect(await readdir(at('brokers', 'home-1', 'access', 'trust'))).toEqual([]);
    await expect(readdir(at('brokers', 'home-0', 'access', 'trust'))).rejects.toThrow('ENOENT');
  });

  it('tells the command line where it is, in a folder that can be moved', async () => {
    await write();
    expect(await readPlatformFile(at('operator'))).toMatchObject({
      host: 'mqtt.example.org',
      busUrl: 'mqtts://127.0.0.1:8886',
      controllerUrl: 'mqtts://apps-home-0.example.org:8889',
      ports: { home: 8883, homeWss: 8884, activation: 8885, federation: 443 },
      tlsDir: at('operator'),
    });
  });

  it('stays as it is when made again, access that a service has written included', async () => {
    await write();
    await writeFile(at('brokers', 'home-0', 'access', 'dynamic-security.json'), '{"clients":["somebody"]}');
    await writeFile(at('brokers', 'activation', 'access', 'trust', '0a0b0c0d.0'), 'a manufacturer');
    const before = await allFiles();
    await write();
    const after = await allFiles();
    delete before['operator/platform.json'];
    delete after['operator/platform.json'];
    expect(after).toEqual(before);
  });

  it('renews what ends soon and adds what is new', async () => {
    await write();
    const before = await allFiles();
    clock.advance(SERVER_VALIDITY_MS - 86_400_000);
    await writeFile(
      join(root, 'brokers.json'),
      JSON.stringify({ ...brokers, home: [...brokers.home, homeBroker('home-2')] }),
    );
    await write();
    const after = await allFiles();
    expect(after['operator/ca.crt']).toBe(before['operator/ca.crt']);
    expect(after['brokers/home-0/server.crt']).not.toBe(before['brokers/home-0/server.crt']);
    expect(after['brokers/home-2/mosquitto.conf']).toContain('home-2');
  });

  it('refuses another encryption key', async () => {
    await write();
    env.MQTT2GO_KEY = createEncryptionKey();
    await expect(write()).rejects.toMatchObject({ code: 'configuration_invalid' });
  });
});
