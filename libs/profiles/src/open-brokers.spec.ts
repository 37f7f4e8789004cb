import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadServiceConfig, type ServiceFiles } from '@mqtt2go/config';
import { SystemClock } from '@mqtt2go/ports';
import { createTestCertificates, silentLogger } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBrokers, type ServiceBrokers } from './open-brokers.js';

const mosquitto = { kind: 'mosquitto', url: 'mqtts://127.0.0.1:1' };
const home = { ...mosquitto, name: 'home-0', controllerUrl: 'mqtts://home-0.example:8889' };

let folder: string;
let files: ServiceFiles;
const opened: ServiceBrokers[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mqtt2go-profiles-'));
  const certificates = await createTestCertificates();
  files = { servicesCa: certificates.ca, service: await certificates.service('topic-generator') };
});
afterAll(async () => {
  await Promise.all(opened.map((brokers) => brokers.close()));
  await rm(folder, { recursive: true });
});

async function open(brokers: object, env: Record<string, string> = {}): Promise<ServiceBrokers> {
  const file = join(folder, 'brokers.json');
  await writeFile(file, JSON.stringify({ bus: mosquitto, activation: mosquitto, home: [home], ...brokers }));
  const config = loadServiceConfig({
    DATABASE_URL: 'postgres://db/x',
    MQTT2GO_BROKERS: file,
    MQTT2GO_REPLICA: 'first',
    ...env,
  });
  const all = openBrokers({ config, service: 'topic-generator', files, clock: new SystemClock(), log: silentLogger });
  opened.push(all);
  return all;
}

describe('openBrokers', () => {
  it('shares what comes from Mosquitto among replicas, which leave it to each other when there are any', async () => {
    const alone = await open({});
    expect(alone.bus.sharing).toEqual({ group: 'topic-generator', replica: 'first', handsOver: false });
    const several = await open(
      { home: [home, { ...home, name: 'home-1', host: 'one.example', port: 18_883 }] },
      {
        MQTT2GO_REPLICAS: '2',
      },
    );
    expect(several.home).toMatchObject([
      { name: 'home-0', host: 'localhost', port: 8883, sharing: { handsOver: true } },
      { name: 'home-1', host: 'one.example', port: 18_883, sharing: { handsOver: true } },
    ]);
    expect((await several.homeAdmins()).map(({ name, admin }) => `${name} ${admin.constructor.name}`)).toEqual([
      'home-0 MosquittoBrokerAdmin',
      'home-1 MosquittoBrokerAdmin',
    ]);
  });

  it('tells what the service needs, by the names of its health', async () => {
    const brokers = await open({});
    expect(Object.keys(brokers.needs('home'))).toEqual(['bus', 'home broker home-0']);
    expect(Object.keys(brokers.needs('activation'))).toEqual(['bus', 'activation broker']);
  });

  it('has embedded brokers for one process of each service', async () => {
    const embedded = { kind: 'embedded', url: 'mqtts://127.0.0.1:1' };
    const one = await open({ bus: embedded, activation: embedded });
    expect(one.bus.sharing).toBeUndefined();
    expect((await one.activationAdmin()).constructor.name).toBe('AedesBrokerAdmin');
    const two = await open({ bus: embedded }, { MQTT2GO_REPLICAS: '2' });
    expect(() => two.bus).toThrow('MQTT2GO_REPLICAS is 2, but the broker mqtts://127.0.0.1:1 shares no messages');
  });

  describe('of kind http', () => {
    const userFile = (): string => join(folder, 'user');
    const cluster = (management: object = {}) => ({
      home: [
        {
          ...home,
          kind: 'http',
          authPort: 18_890,
          management: { kind: 'rabbitmq', url: 'https://127.0.0.1:1', userFile: userFile(), ...management },
        },
      ],
    });

    it('reads the user of the management API from its file', async () => {
      await writeFile(userFile(), 'mqtt2go:0123456789abcdef0123456789abcdef\n');
      const [opened] = await (await open(cluster())).homeAdmins();
      expect(opened?.admin.constructor.name).toBe('HttpBrokerAdmin');
    });

    it.each([
      ['nobody', 'does not hold user:password'],
      [undefined, 'ENOENT'],
    ])('refuses the file that has %s', async (content, line) => {
      await rm(userFile(), { force: true });
      if (content !== undefined) await writeFile(userFile(), content);
      await expect((await open(cluster())).homeAdmins()).rejects.toMatchObject({
        code: 'configuration_invalid',
        message: expect.stringContaining(line),
      });
    });

    it('has one process that it asks', async () => {
      const emqx = await open(cluster({ kind: 'emqx' }), { MQTT2GO_REPLICAS: '2' });
      expect(emqx.home[0]?.sharing).toBeDefined();
      await expect(emqx.homeAdmins()).rejects.toThrow('asks one of them only');
      const rabbit = await open(cluster(), { MQTT2GO_REPLICAS: '2' });
      expect(() => rabbit.home).toThrow('shares no messages');
    });
  });
});
