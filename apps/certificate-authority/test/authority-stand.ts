import { randomUUID } from 'node:crypto';
import { Answers, Bus, BusServer, type Contract, certificateAuthority, topicGenerator } from '@mqtt2go/messaging';
import {
  createCertificateRequest,
  createEncryptionKey,
  generateKeys,
  type KeyPair,
  writePublicKey,
} from '@mqtt2go/pki';
import { FakeClock } from '@mqtt2go/ports';
import { type ServiceHandle, startNestService } from '@mqtt2go/runtime';
import {
  Collector,
  createTestDatabase,
  silentLogger,
  startTestBroker,
  type TestBroker,
  type TestDatabase,
  waitFor,
} from '@mqtt2go/testing';
import { Controller, Module } from '@nestjs/common';
import pg from 'pg';
import type { z } from 'zod';
import { startCertificateAuthority } from '../src/start-certificate-authority.js';

export type Withdrawal = z.output<typeof topicGenerator.revokeAccess.input>;
export type Acceptance = z.output<typeof topicGenerator.acceptCertificate.input>;
export type IssueInput = z.input<typeof certificateAuthority.issueDeviceCertificate.input>;

/** One certificate authority on a bus of its own, and whoever asks it. Stands of one database are replicas. */
export class AuthorityStand {
  private constructor(
    readonly databaseUrl: string,
    readonly clock: FakeClock,
    readonly encryptionKey: string,
    readonly broker: TestBroker,
    readonly bus: Bus,
    private service: ServiceHandle,
    private generator: ServiceHandle | undefined,
    /** What the topic generator was asked to withdraw. */
    readonly withdrawals: Collector<Withdrawal>,
    /** The renewed certificates that it was asked to accept. */
    readonly acceptances: Collector<Acceptance>,
    private readonly database: TestDatabase | undefined,
  ) {}

  static async start(): Promise<AuthorityStand> {
    const database = await createTestDatabase();
    return AuthorityStand.startOn(database.url, new FakeClock(), createEncryptionKey(), database);
  }

  /** Another process of the same service. */
  startReplica(): Promise<AuthorityStand> {
    return AuthorityStand.startOn(this.databaseUrl, this.clock, this.encryptionKey);
  }

  private static async startOn(
    databaseUrl: string,
    clock: FakeClock,
    encryptionKey: string,
    database?: TestDatabase,
  ): Promise<AuthorityStand> {
    const broker = await startTestBroker();
    const withdrawals = new Collector<Withdrawal>();
    const acceptances = new Collector<Acceptance>();
    const generator = await startTopicGenerator(broker, withdrawals, acceptances);
    const service = await startService(databaseUrl, clock, encryptionKey, broker);
    const bus = new Bus(broker.link('test'));
    await waitFor(() => {
      try {
        bus.checkHealth();
        return true;
      } catch {
        return false;
      }
    }, 'the connection to the bus');
    return new AuthorityStand(
      databaseUrl,
      clock,
      encryptionKey,
      broker,
      bus,
      service,
      generator,
      withdrawals,
      acceptances,
      database,
    );
  }

  async restart(): Promise<void> {
    await this.service.stop();
    this.service = await startService(this.databaseUrl, this.clock, this.encryptionKey, this.broker);
  }

  get handle(): ServiceHandle {
    return this.service;
  }

  call<I extends z.ZodType, O extends z.ZodType>(contract: Contract<I, O>, input: z.input<I>): Promise<z.output<O>> {
    return this.bus.call(contract, input, { retries: 0 });
  }

  issue(changes: Partial<IssueInput> = {}) {
    const input = { onboardingId: randomUUID(), deviceId: newDeviceId(), keyMode: 'server-key' as const, ...changes };
    return this.call(certificateAuthority.issueDeviceCertificate, input);
  }

  settle(onboardingId: string, outcome: 'completed' | 'abandoned') {
    return this.call(certificateAuthority.settleOnboardingCertificate, { onboardingId, outcome });
  }

  /** Runs a statement in the service's schema, past the service. */
  async query(statement: string, parameters: unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({
      connectionString: this.databaseUrl,
      options: '-c search_path=certificate_authority',
    });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(statement, parameters)).rows;
    } finally {
      await client.end();
    }
  }

  metrics(): Promise<string> {
    return this.service.metrics();
  }

  async stopTopicGenerator(): Promise<void> {
    await this.generator?.stop();
    this.generator = undefined;
  }

  async startTopicGenerator(): Promise<void> {
    this.generator = await startTopicGenerator(this.broker, this.withdrawals, this.acceptances);
  }

  async stop(): Promise<void> {
    await this.bus.close();
    await this.service.stop();
    await this.stopTopicGenerator();
    await this.broker.close();
    await this.database?.drop();
  }
}

function startService(databaseUrl: string, clock: FakeClock, encryptionKey: string, broker: TestBroker) {
  return startCertificateAuthority({
    log: silentLogger,
    clock,
    databaseUrl,
    poolSize: 5,
    busLink: broker.link('certificate-authority'),
    encryptionKey,
  });
}

/** A topic generator that notes what it is to withdraw and to accept. */
function startTopicGenerator(
  broker: TestBroker,
  withdrawals: Collector<Withdrawal>,
  acceptances: Collector<Acceptance>,
): Promise<ServiceHandle> {
  @Controller()
  class TopicGenerator {
    @Answers(topicGenerator.revokeAccess)
    revokeAccess(withdrawal: Withdrawal): Record<string, never> {
      withdrawals.add(withdrawal);
      return {};
    }

    @Answers(topicGenerator.acceptCertificate)
    acceptCertificate(acceptance: Acceptance): Record<string, never> {
      acceptances.add(acceptance);
      return {};
    }
  }

  @Module({ controllers: [TopicGenerator] })
  class TopicGeneratorModule {}

  return startNestService({
    name: 'topic-generator',
    module: TopicGeneratorModule,
    log: silentLogger,
    strategies: [new BusServer({ link: broker.link('topic-generator'), service: 'topic-generator' })],
  });
}

export function newDeviceId(): string {
  return `device-${randomUUID()}`;
}

/** A device with a key of its own. */
export async function newDevice(): Promise<{
  deviceId: string;
  keys: KeyPair;
  publicKey: string;
  csr: string;
}> {
  const deviceId = newDeviceId();
  const keys = await generateKeys();
  return {
    deviceId,
    keys,
    publicKey: writePublicKey(keys.publicKey),
    csr: createCertificateRequest({ deviceId, keys }),
  };
}

export const refusal = (code: string) => ({ code });
