import { randomBytes, randomUUID } from 'node:crypto';
import { Bus, provisioning } from '@mqtt2go/messaging';
import { createEncryptionKey } from '@mqtt2go/pki';
import { RevisionRegistry } from '@mqtt2go/plugin-api';
import { FakeClock } from '@mqtt2go/ports';
import { Revision1Wire } from '@mqtt2go/revision-1';
import type { ServiceHandle } from '@mqtt2go/runtime';
import {
  createTestCertificates,
  createTestDatabase,
  silentLogger,
  startTestBroker,
  type TestBroker,
  type TestCertificates,
  type TestDatabase,
  type TestIdentity,
  waitFor,
} from '@mqtt2go/testing';
import type { MqttClient } from 'mqtt';
import pg from 'pg';
import { z } from 'zod';
import { type ProvisioningDeps, startProvisioning } from '../start-provisioning.js';
import { Neighbours, startNeighbours } from './scripted-neighbours.js';
import { ScriptedDiscovery } from './scripted-discovery.js';

/** A message of the platform's on the home broker. */
export interface Heard {
  readonly topic: string;
  readonly type: string;
  readonly report_type?: string | undefined;
  readonly report_name?: string | undefined;
  readonly value?: unknown;
}

const heardMessage = z.looseObject({
  type: z.string(),
  report_type: z.string().optional(),
  report_name: z.string().optional(),
  value: z.unknown().optional(),
});

/** Nobody answers while the service is down; a test that asks until somebody does loses no time by it. */
const once = { retries: 0, timeoutMs: 500 };

export interface RenameOptions {
  readonly topic?: string;
  readonly name?: string;
  readonly groups?: unknown;
}

export interface TestDevice {
  readonly deviceId: string;
  readonly activationCode: string;
}

/** Provisioning on a real database and plain brokers in the process, with its neighbours played by a script. */
export class ProvisioningStand {
  readonly clock = new FakeClock(Date.now());
  readonly neighbours = new Neighbours();
  readonly heard: Heard[] = [];
  readonly encryptionKey = Buffer.from(createEncryptionKey(), 'base64');
  readonly services: ServiceHandle[] = [];
  bus: Bus;
  private neighbourService: ServiceHandle;
  private people: MqttClient;

  private constructor(
    readonly database: TestDatabase,
    readonly busBroker: TestBroker,
    readonly homeBroker: TestBroker,
    readonly certificates: TestCertificates,
    readonly identity: TestIdentity,
    readonly discovery: ScriptedDiscovery,
  ) {}

  static async create(): Promise<ProvisioningStand> {
    const certificates = await createTestCertificates();
    const stand = new ProvisioningStand(
      await createTestDatabase(),
      await startTestBroker(),
      await startTestBroker(),
      certificates,
      await certificates.service('provisioning'),
      await ScriptedDiscovery.start(certificates),
    );
    stand.neighbourService = await startNeighbours(stand.busBroker.link('neighbours'), stand.neighbours);
    stand.bus = new Bus(stand.busBroker.link('test'));
    await waitFor(() => isUp(() => stand.bus.checkHealth()), 'the bus');
    stand.people = stand.homeBroker.link('people').open('people');
    stand.people.on('message', (topic, payload) => stand.hear(topic, payload));
    await stand.people.subscribeAsync('#', { qos: 1 });
    return stand;
  }

  /** Starts the service, again or once more beside the others. */
  async start(changes: Partial<ProvisioningDeps> = {}): Promise<ServiceHandle> {
    const client = `provisioning-${this.services.length}`;
    const service = await startProvisioning({
      log: silentLogger,
      clock: this.clock,
      databaseUrl: this.database.url,
      poolSize: 5,
      busLink: this.busBroker.link(client),
      homeBrokers: [{ name: 'home-0', link: this.homeBroker.link(client), host: 'home.example', port: 8883 }],
      discovery: { url: this.discovery.url, ca: this.certificates.ca, ...this.identity },
      encryptionKey: this.encryptionKey,
      plugins: { revisions: new RevisionRegistry([new Revision1Wire()]) },
      ...changes,
    });
    this.services.push(service);
    return service;
  }

  async close(): Promise<void> {
    await Promise.all(this.services.map((service) => service.stop()));
    await this.people.endAsync(true);
    await this.bus.close();
    await this.neighbourService.stop();
    await Promise.all([this.busBroker.close(), this.homeBroker.close(), this.discovery.close()]);
    await this.database.drop();
  }

  /** A device that the factory has told of. */
  async mint(record: Record<string, unknown> = {}): Promise<TestDevice> {
    const device = this.someDevice();
    const { rejected } = await this.bus.call(provisioning.importFactoryRecords, {
      records: [
        {
          device_id: device.deviceId,
          activation_code: device.activationCode,
          device_type: 'socket',
          key_mode: 'server-key',
          ...record,
        },
      ],
    });
    if (rejected.length > 0) throw new Error(JSON.stringify(rejected));
    return device;
  }

  /** A device that the factory has not told of. */
  someDevice(): TestDevice {
    return { deviceId: `device-${randomUUID()}`, activationCode: randomBytes(6).toString('hex').toUpperCase() };
  }

  async publish(topic: string, message: unknown): Promise<void> {
    const payload = typeof message === 'string' ? message : JSON.stringify(message);
    await this.people.publishAsync(topic, payload, { qos: 1 });
  }

  /** Step 1. */
  async activate(
    { deviceId, activationCode }: TestDevice,
    { topic = 'home-1/gw-1/add_device', ...more }: { topic?: string; timestamp?: number; device_type?: string } = {},
  ): Promise<void> {
    const { timestamp = Math.floor(this.clock.now() / 1_000), ...value } = more;
    await this.publish(topic, {
      type: 'command',
      timestamp,
      command_type: 'activate_device',
      value: { activation_code: activationCode, device_id: deviceId, ...value },
    });
  }

  /** Step 9. */
  async askForTopics(deviceId: string, topic = `${deviceId}/topics`): Promise<void> {
    await this.publish(topic, { type: 'command', timestamp: 0, command_type: 'topics', value: 'GET_DEVICE_TOPICS' });
  }

  /** Step 11. */
  async rename(
    deviceId: string,
    { topic = 'home-1/gw-1/add_device', name = 'Kettle', groups = 'kitchen' }: RenameOptions = {},
  ): Promise<void> {
    const value = { device_id: deviceId, device_name: name, group_id: groups };
    await this.publish(topic, { type: 'command', timestamp: 0, command_type: 'rename_device', value });
  }

  /** Step 6, as the Discovery server passes it on. */
  async claim(deviceId: string, csr?: string): Promise<string | undefined> {
    const { onboardingId } = await this.onboarding(deviceId);
    const input = csr === undefined ? { onboardingId } : { onboardingId, csr };
    return (await this.bus.call(provisioning.claimOnboarding, input, once)).deviceCertificate;
  }

  async onboarding(deviceId: string): Promise<z.output<typeof provisioning.getOnboarding.output>> {
    return this.bus.call(provisioning.getOnboarding, { deviceId }, once);
  }

  /** Waits until the newest onboarding of the device has come this far. */
  async reach(deviceId: string, state: string): Promise<z.output<typeof provisioning.getOnboarding.output>> {
    return waitFor(async () => {
      const found = await this.onboarding(deviceId).catch(() => undefined);
      return found?.state === state && found;
    }, `${deviceId} being ${state}`);
  }

  /** Brings a device all the way. */
  async add(device: TestDevice): Promise<void> {
    await this.activate(device);
    await this.bringToName(device.deviceId);
    await this.rename(device.deviceId);
    await this.reach(device.deviceId, 'active');
  }

  async bringToName(deviceId: string): Promise<void> {
    await this.reach(deviceId, 'announced');
    await this.claim(deviceId);
    await this.bringToNameFromClaim(deviceId);
  }

  async bringToNameFromClaim(deviceId: string): Promise<void> {
    await this.askForTopics(deviceId);
    await this.reach(deviceId, 'awaiting-name');
  }

  /** Asks the database. */
  async query<R extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<R[]> {
    const client = new pg.Client({ connectionString: this.database.url });
    await client.connect();
    try {
      return (await client.query<R>(sql, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** The next report, since `from`, that matches. */
  async report(matches: (heard: Heard) => boolean, from = 0): Promise<Heard> {
    return waitFor(() => this.heard.slice(from).find((heard) => heard.type === 'report' && matches(heard)), 'a report');
  }

  /** The next error report to a command, since `from`; gives its reason. */
  async refusal(reportName: string, topic = 'home-1/gw-1/add_device', from = 0): Promise<unknown> {
    const { value } = await this.report(
      (heard) => heard.topic === topic && heard.report_name === reportName && reasonOf(heard) !== undefined,
      from,
    );
    return reasonOf({ value });
  }

  /** The states that a controller was told of a device, in their order. */
  told(deviceId: string): string[] {
    return this.heard.flatMap(({ report_name: name, value }) => {
      const progress = z.object({ device_id: z.literal(deviceId), state: z.string() }).safeParse(value);
      return name === 'activate_device' && progress.success ? [progress.data.state] : [];
    });
  }

  private hear(topic: string, payload: Buffer): void {
    try {
      this.heard.push({ topic, ...heardMessage.parse(JSON.parse(payload.toString())) });
    } catch {
      // What a test publishes that is no message at all.
    }
  }
}

function reasonOf({ value }: Pick<Heard, 'value'>): unknown {
  const error = z.object({ event: z.literal('error'), reason: z.string() }).safeParse(value);
  return error.success ? error.data.reason : undefined;
}

function isUp(check: () => void): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}
