import { connect } from 'node:tls';
import { compileRules, type Principal, type ServiceName } from '@mqtt2go/access';
import {
  activationWorld,
  attemptsAround,
  type BrokerUnderTest,
  compareAccess,
  homeWorld,
  impossible,
  observersOf,
  type TriedSession,
  worldPassword,
  worldSerial,
} from '@mqtt2go/access/testing';
import { PlainClient, Certificates, type Credentials } from '@mqtt2go/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultLimits } from './broker-limits.js';
import { Stage } from './test-support/stage.js';

/** Limits are tried elsewhere. */
const unlimited = {
  inboundBurstBytes: 1e9,
  inboundBytesPerSecond: 1e9,
  maxBufferedBytes: 1e9,
  maxSubscriptionsPerClient: 1_000,
  maxPacketBytes: defaultLimits.home.maxPacketBytes,
};

/** Tries one code after the other: the embedded broker refuses whoever tries many at once. */
class OneByOne implements TriedSession {
  #last: Promise<unknown> = Promise.resolve();

  constructor(readonly client: PlainClient) {}

  get received(): TriedSession['received'] {
    return this.client.received;
  }
  subscribe(filter: string): Promise<boolean> {
    const granted = this.#last.then(() => this.client.subscribe(filter));
    this.#last = granted;
    return granted;
  }
  unsubscribe(filter: string): Promise<void> {
    return this.client.unsubscribe(filter);
  }
  receives(payload: string): Promise<void> {
    return this.client.receives(payload);
  }
  close(): Promise<void> {
    return this.client.close();
  }
}

class AedesUnderTest implements BrokerUnderTest<OneByOne> {
  readonly #publishers = new Map<string, { principal: Principal; client: PlainClient }>();
  readonly #credentials = new Map<string, Credentials>();

  constructor(
    readonly role: 'home' | 'activation',
    private readonly stage: Stage,
  ) {}

  async load(principals: readonly Principal[]): Promise<void> {
    const devices = principals.filter((principal) => principal.kind === 'device');
    const controllers = principals.filter((principal) => principal.kind === 'controller');
    const observers = this.role === 'home' ? observersOf({ devices, controllers }) : [];
    await this.stage.admin.replaceAll([...principals, ...observers]);
    for (const { client } of this.#publishers.values()) await client.close();
    this.#publishers.clear();
    for (const observer of observers) {
      const session = await this.connect(observer);
      this.#publishers.set(observer.id, { principal: observer, client: session.client });
    }
    for (const id of ['provisioning', 'discovery'] satisfies ServiceName[]) {
      const client = await PlainClient.connect(this.stage.broker.connectInProcess(id), { clientId: 'publisher' });
      this.#publishers.set(id, { principal: { kind: 'service', id }, client });
    }
  }

  async connect(principal: Principal): Promise<OneByOne> {
    const { certificates, port } = this.stage;
    const stream = connect({
      host: '127.0.0.1',
      port,
      ca: certificates.root.certificate,
      ...(principal.kind !== 'controller' && (await this.#credentialsOf(principal))),
    });
    const client = await PlainClient.connect(stream, {
      clientId: 'tried',
      ...(principal.kind === 'controller' && { username: principal.id, password: worldPassword }),
    });
    return new OneByOne(client);
  }

  async publish({ client }: OneByOne, messages: readonly { topic: string; payload: string }[]): Promise<boolean[]> {
    const outcomes: boolean[] = [];
    for (const { topic, payload } of messages) {
      const before = this.stage.broker.stats().counters.publishesRefused;
      const isAcknowledged = await client.publish(topic, payload);
      outcomes.push(isAcknowledged && this.stage.broker.stats().counters.publishesRefused === before);
    }
    return outcomes;
  }

  async deliver(topic: string, payload: string): Promise<boolean> {
    const publisher = [...this.#publishers.values()].find(({ principal }) =>
      compileRules(principal, this.role).allows('publish', topic, Date.now()),
    );
    return publisher !== undefined && publisher.client.publish(topic, payload);
  }

  async #credentialsOf({ id }: Principal): Promise<Credentials> {
    const { certificates } = this.stage;
    const known = this.#credentials.get(id);
    const made =
      known ?? (this.role === 'home' ? await certificates.device(id, worldSerial) : await certificates.preloaded(id));
    this.#credentials.set(id, made);
    return made;
  }
}

describe('an embedded broker decides as the policy does', () => {
  let certificates: Certificates;
  let home: Stage;
  let activation: Stage;

  beforeAll(async () => {
    certificates = await Certificates.create();
    home = await Stage.start(certificates, 'home', { limits: unlimited });
    activation = await Stage.start(certificates, 'activation', {
      limits: unlimited,
      schedule: (_delayMs, work) => {
        const soon = setImmediate(work);
        return () => clearImmediate(soon);
      },
    });
  });
  afterAll(async () => {
    await home.close();
    await activation.close();
  });

  it('on the home broker', async () => {
    const broker = new AedesUnderTest('home', home);
    const inWorld = homeWorld.chain((world) => {
      const principals = [...world.devices, ...world.controllers];
      const attempts = attemptsAround(principals, 'home', { topics: 25, filters: 40 });
      return fc.record({ principals: fc.constant(principals), attempts });
    });
    const total = { decisions: 0, allowed: 0 };
    await fc.assert(
      fc.asyncProperty(inWorld, async ({ principals, attempts }) => {
        const { decisions, allowed, differences } = await compareAccess(broker, principals, attempts);
        expect(differences).toEqual([]);
        total.decisions += decisions;
        total.allowed += allowed;
      }),
      { numRuns: 40, endOnFailure: true },
    );
    expect(total.decisions).toBeGreaterThan(10_000);
    expect(total.allowed).toBeGreaterThan(1_000);
  }, 120_000);

  it('on the activation broker', async () => {
    const broker = new AedesUnderTest('activation', activation);
    const inWorld = activationWorld.chain(({ activations }) =>
      fc.record({
        principals: fc.constant(activations),
        attempts: attemptsAround(activations, 'activation', { topics: 10, filters: 15 }),
      }),
    );
    const total = { decisions: 0, allowed: 0 };
    await fc.assert(
      fc.asyncProperty(inWorld, async ({ principals, attempts }) => {
        const [stranger, ...known] = principals;
        const strangers = stranger === undefined ? [] : [stranger];
        const { decisions, allowed, differences } = await compareAccess(broker, known, attempts, strangers);
        expect(differences).toEqual([]);
        total.decisions += decisions;
        total.allowed += allowed;
      }),
      { numRuns: 20, endOnFailure: true },
    );
    expect(total.decisions).toBeGreaterThan(1_000);
    expect(total.allowed).toBeGreaterThan(100);
  }, 120_000);

  it('on topics that are none', async () => {
    const broker = new AedesUnderTest('home', home);
    const [administrator] = observersOf({
      devices: [],
      controllers: [
        {
          kind: 'controller',
          id: 'a@home',
          homeId: 'home',
          gatewayId: 'gw',
          role: 'administrator',
          password: { algorithm: 'pbkdf2-sha512', iterations: 1, salt: '', hash: '' },
        },
      ],
    });
    if (administrator === undefined) throw new Error('no home');
    await home.admin.replaceAll([administrator]);
    await fc.assert(
      fc.asyncProperty(impossible, async (topic) => {
        const rules = compileRules(administrator, 'home');
        const one = await broker.connect(administrator);
        expect([topic, await one.subscribe(topic)]).toEqual([topic, rules.allows('subscribe', topic, 0)]);
        await one.close();
        const other = await broker.connect(administrator);
        const [isPublished] = await broker.publish(other, [{ topic, payload: 'x' }]);
        expect([topic, isPublished]).toEqual([topic, false]);
        expect(rules.allows('publish', topic, 0)).toBe(false);
        await other.close();
      }),
      { numRuns: 60, endOnFailure: true },
    );
  }, 60_000);
});
