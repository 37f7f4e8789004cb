import { Bus, topicGenerator } from '@mqtt2go/messaging';
import { createEncryptionKey, SecretBox } from '@mqtt2go/pki';
import { FakeBrokerAdmin, FakeClock } from '@mqtt2go/ports';
import type { ServiceHandle } from '@mqtt2go/runtime';
import {
  createTestDatabase,
  silentLogger,
  startTestBroker,
  type TestBroker,
  type TestDatabase,
  waitFor,
} from '@mqtt2go/testing';
import type { DataSource } from 'typeorm';
import type { z } from 'zod';
import { HomePrincipals } from '../access/home-principals.js';
import { ControllerSecrets } from '../controllers/controller-secrets.js';
import { startTopicGenerator, type TopicGeneratorDeps } from '../start-topic-generator.js';

export const homeId = 'home-1';
export const onboardingIds = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'] as const;

/** A topic generator on a real database, with a home that has the gateways `gw` and `gw2`. */
export class TopicGeneratorStand {
  readonly admin = new FakeBrokerAdmin();
  readonly encryptionKey = createEncryptionKey();
  service: ServiceHandle;
  bus: Bus;

  private constructor(
    readonly database: TestDatabase,
    private readonly broker: TestBroker,
  ) {}

  static async create(): Promise<TopicGeneratorStand> {
    const stand = new TopicGeneratorStand(await createTestDatabase(), await startTestBroker());
    await stand.start();
    stand.bus = new Bus(stand.broker.link('test'));
    await waitFor(() => {
      try {
        stand.bus.checkHealth();
        return true;
      } catch {
        return false;
      }
    }, 'the bus');
    await stand.bus.call(topicGenerator.createController, { homeId, gatewayId: 'gw' });
    await stand.bus.call(topicGenerator.createController, { homeId, gatewayId: 'gw2' });
    return stand;
  }

  async start(changes: Partial<TopicGeneratorDeps> = {}): Promise<void> {
    this.service = await startTopicGenerator({
      log: silentLogger,
      clock: new FakeClock(),
      databaseUrl: this.database.url,
      busLink: this.broker.link('topic-generator'),
      homeBrokers: [
        { name: 'home-0', admin: this.admin, trustsGateways: true, controllerUrl: 'mqtts://home.example:8883' },
      ],
      encryptionKey: this.encryptionKey,
      ...changes,
    });
  }

  async close(): Promise<void> {
    await this.bus.close();
    await this.service.stop();
    await this.broker.close();
    await this.database.drop();
  }

  /** What the database says is to be on the broker. */
  principals(dataSource: DataSource): HomePrincipals {
    return new HomePrincipals(dataSource, new ControllerSecrets(new SecretBox(this.encryptionKey)), {
      broker: 'home-0',
      isFirst: true,
    });
  }

  async admit(
    deviceId: string,
    changes: Partial<z.input<typeof topicGenerator.admitDevice.input>> = {},
  ): Promise<unknown> {
    return this.bus.call(
      topicGenerator.admitDevice,
      {
        onboardingId: onboardingIds[0],
        deviceId,
        homeId,
        gatewayId: 'gw',
        deviceType: 'socket',
        serialNumber: 'AA01',
        ...changes,
      },
      { retries: 0 },
    );
  }

  async assign(deviceId: string, ...groupIds: string[]): Promise<{ topics: string[] }> {
    return this.bus.call(topicGenerator.assignTopics, { deviceId, groupIds }, { retries: 0 });
  }

  async withdraw(deviceId: string, onboardingId: string): Promise<unknown> {
    return this.bus.call(topicGenerator.withdrawDevice, { deviceId, onboardingId }, { retries: 0 });
  }

  async revoke(deviceId: string, ...serialNumbers: string[]): Promise<unknown> {
    return this.bus.call(topicGenerator.revokeAccess, { deviceId, serialNumbers }, { retries: 0 });
  }
}
