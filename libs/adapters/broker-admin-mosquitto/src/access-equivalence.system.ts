import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import {
  compileRules,
  type ControllerPrincipal,
  controllerUsername,
  type Principal,
  serviceNames,
} from '@mqtt2go/access';
import {
  activationWorld,
  attemptsAround,
  type BrokerUnderTest,
  compareAccess,
  homeWorld,
  impossible,
  observersOf,
  worldPassword,
  worldSerial,
} from '@mqtt2go/access/testing';
import { PlainClient, waitFor, Certificates, type Credentials, type GatewayAuthority } from '@mqtt2go/testing';
import fc from 'fast-check';
import { connectAsync, type IClientOptions } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { brokerFileNames } from './files/mosquitto-conf.js';
import { serviceUser } from './files/services-acl.js';
import type { MosquittoBrokerAdmin } from './mosquitto-broker-admin.js';
import { MosquittoStage } from './test-support/mosquitto-stage.js';

/** At the services' door, and in no deployment: may say and hear everything but what begins with `$`. */
const observerAcl = `\nuser ${serviceUser('observer')}\ntopic readwrite #\n`;
const observerTopic = 'observer/last';

class MosquittoUnderTest implements BrokerUnderTest<PlainClient> {
  readonly role: 'home' | 'activation';
  readonly admin: MosquittoBrokerAdmin;
  readonly #credentials = new Map<string, Credentials>();
  readonly #gateways = new Map<string, Promise<GatewayAuthority>>();
  #messages = 0;

  private constructor(
    private readonly stage: MosquittoStage,
    private readonly observer: PlainClient,
  ) {
    this.role = stage.role === 'activation' ? 'activation' : 'home';
    this.admin = stage.admin({ accessDir: stage.accessDir });
  }

  static async create(stage: MosquittoStage): Promise<MosquittoUnderTest> {
    await appendFile(join(stage.folder, brokerFileNames.servicesAcl), observerAcl);
    await stage.container.kill('SIGHUP');
    const observer = await openService(stage, 'observer');
    await observer.subscribe('#');
    const isHeard = async (): Promise<boolean> => {
      await observer.publish(observerTopic, 'are the rules there?');
      return observer.received.length > 0;
    };
    await waitFor(isHeard, 'the observer’s rights', 10_000);
    return new MosquittoUnderTest(stage, observer);
  }

  /** The broker as it is, told nothing more. */
  asItIs(): BrokerUnderTest<PlainClient> {
    return {
      role: this.role,
      load: async () => undefined,
      connect: (principal) => this.connect(principal),
      publish: (session, messages) => this.publish(session, messages),
      deliver: (topic, payload) => this.deliver(topic, payload),
    };
  }

  async load(principals: readonly Principal[]): Promise<void> {
    const trusting = principals.map((one) => (one.kind === 'device' ? { ...one, trustsGateway: true as const } : one));
    await this.admin.replaceAll(this.stage.gateways ? trusting : principals);
  }

  async connect(principal: Principal): Promise<PlainClient> {
    const { certificates } = this.stage;
    if (principal.kind === 'controller') {
      const door = openTls(this.stage.url('controllers'), { ca: certificates.root.certificate });
      return PlainClient.connect(door, { clientId: 'x', username: principal.id, password: worldPassword });
    }
    const credentials = await this.credentialsOf(principal);
    const door = openTls(this.stage.url('devices'), { ca: certificates.root.certificate, ...credentials });
    return PlainClient.connect(door, { clientId: 'x' });
  }

  async publish(session: PlainClient, messages: readonly { topic: string; payload: string }[]): Promise<boolean[]> {
    await Promise.all(messages.map(({ topic, payload }) => session.publish(topic, payload)));
    await this.#everythingHeard();
    const heard = new Set(this.observer.received.splice(0).map(({ topic, payload }) => `${payload} ${topic}`));
    return messages.map(({ topic, payload }) => heard.has(`${payload} ${topic}`));
  }

  async deliver(topic: string, payload: string): Promise<boolean> {
    return !topic.startsWith('$') && this.observer.publish(topic, payload);
  }

  /** What was published before is there or will never come. */
  async #everythingHeard(): Promise<void> {
    const payload = `observed ${(this.#messages += 1)}`;
    await this.observer.publish(observerTopic, payload);
    await this.observer.receives(payload);
  }

  async credentialsOf(principal: Principal): Promise<Credentials> {
    const { certificates, gateways } = this.stage;
    const { id } = principal;
    if (gateways && principal.kind === 'device') return (await this.#gatewayOf(principal.homeId)).device(id);
    const known = this.#credentials.get(id);
    const made =
      known ?? (this.role === 'home' ? await certificates.device(id, worldSerial) : await certificates.preloaded(id));
    this.#credentials.set(id, made);
    return made;
  }

  #gatewayOf(homeId: string): Promise<GatewayAuthority> {
    const known = this.#gateways.get(homeId) ?? this.stage.certificates.gateway(homeId);
    this.#gateways.set(homeId, known);
    return known;
  }
}

function openTls(url: string, options: { ca: string; cert?: string; key?: string }) {
  const { hostname, port } = new URL(url);
  return connect({ host: hostname, port: Number(port), ...options });
}

async function openService(stage: MosquittoStage, name: string): Promise<PlainClient> {
  const credentials = await stage.certificates.service(name);
  const door = openTls(stage.url('services'), { ca: stage.certificates.services.certificate, ...credentials });
  return PlainClient.connect(door, { clientId: `${name} of the comparison` });
}

describe('Mosquitto decides as the policy does', () => {
  let certificates: Certificates;
  let home: MosquittoStage;
  let activation: MosquittoStage;
  let ofGateways: MosquittoStage;
  let homeBroker: MosquittoUnderTest;
  let gatewaysBroker: MosquittoUnderTest;
  let activationBroker: MosquittoUnderTest;

  beforeAll(async () => {
    certificates = await Certificates.create();
    [home, ofGateways, activation] = await Promise.all([
      MosquittoStage.start(certificates, 'home'),
      MosquittoStage.start(certificates, 'home', { gateways: true }),
      MosquittoStage.start(certificates, 'activation'),
    ]);
    homeBroker = await MosquittoUnderTest.create(home);
    gatewaysBroker = await MosquittoUnderTest.create(ofGateways);
    activationBroker = await MosquittoUnderTest.create(activation);
    await activationBroker.admin.setTrustAnchors([certificates.manufacturer.certificate]);
  });
  afterAll(async () => {
    await home?.close();
    await ofGateways?.close();
    await activation?.close();
  });

  it.each([
    ['on the home broker', () => homeBroker, 60],
    [
      'on a home broker for homes with gateways, whose devices come with certificates of these',
      () => gatewaysBroker,
      20,
    ],
  ] as const)('%s', async (name, brokerOf, numRuns) => {
    const broker = brokerOf();
    const inWorld = homeWorld.chain(({ devices, controllers }) => {
      const everybody = [...devices, ...controllers];
      // With a certificate of the platform and unknown to the broker, as after the removal of a device.
      const [stranger, ...others] = devices;
      const principals = [...others, ...controllers];
      return fc.record({
        principals: fc.constant(principals),
        strangers: fc.constant(stranger === undefined ? [] : [stranger]),
        attempts: attemptsAround(everybody, 'home', { topics: 40, filters: 60 }),
      });
    });
    const total = { decisions: 0, allowed: 0 };
    await fc.assert(
      fc.asyncProperty(inWorld, async ({ principals, strangers, attempts }) => {
        const { decisions, allowed, differences } = await compareAccess(broker, principals, attempts, strangers);
        expect(differences).toEqual([]);
        total.decisions += decisions;
        total.allowed += allowed;
      }),
      { numRuns, endOnFailure: true },
    );
    process.stdout.write(`${name}: ${total.decisions} answers compared, ${total.allowed} of them permissions\n`);
    expect(total.decisions).toBeGreaterThan(numRuns * 300);
    expect(total.allowed).toBeGreaterThan(numRuns * 30);
  });

  it('on the activation broker', async () => {
    const inWorld = activationWorld.chain(({ activations }) =>
      fc.record({
        activations: fc.constant(activations),
        attempts: attemptsAround(activations, 'activation', { topics: 40, filters: 60 }),
      }),
    );
    const total = { decisions: 0, allowed: 0 };
    await fc.assert(
      fc.asyncProperty(inWorld, async ({ activations, attempts }) => {
        const [stranger, ...known] = activations;
        const strangers = stranger === undefined ? [] : [stranger];
        const { decisions, allowed, differences } = await compareAccess(activationBroker, known, attempts, strangers);
        expect(differences).toEqual([]);
        total.decisions += decisions;
        total.allowed += allowed;
      }),
      { numRuns: 30, endOnFailure: true },
    );
    process.stdout.write(
      `activation broker: ${total.decisions} answers compared, ${total.allowed} of them permissions\n`,
    );
    expect(total.decisions).toBeGreaterThan(5_000);
    expect(total.allowed).toBeGreaterThan(200);
  });

  it('after a start from the snapshot', async () => {
    for (const { devices, controllers } of fc.sample(homeWorld, 2)) {
      const principals = [...devices, ...controllers];
      const [attempts] = fc.sample(attemptsAround(principals, 'home', { topics: 60, filters: 90 }), 1);
      if (attempts === undefined) throw new Error('no attempts');
      const stage = await MosquittoStage.start(certificates, 'home', { snapshotOf: principals });
      try {
        const broker = await MosquittoUnderTest.create(stage);
        const { decisions, differences } = await compareAccess(broker.asItIs(), principals, attempts);
        expect(differences).toEqual([]);
        expect(decisions).toBeGreaterThan(100);
      } finally {
        await stage.close();
      }
    }
  });

  it.each(['home', 'activation'] as const)('for services, on the %s broker, in all but subscribing', async (role) => {
    const broker = role === 'home' ? homeBroker : activationBroker;
    const services = serviceNames.map((id): Principal => ({ kind: 'service', id }));
    const [attempts] = fc.sample(attemptsAround(services, role, { topics: 300, filters: 0 }), 1);
    const topics = (attempts?.topics ?? []).filter((topic) => !topic.startsWith('$'));
    for (const principal of services) {
      const { allows } = compileRules(principal, role);
      const session = await openService(role === 'home' ? home : activation, principal.id);
      // Any filter is granted, and only what is the service's is delivered.
      expect(await session.subscribe('#')).toBe(true);
      for (const topic of topics) await broker.deliver(topic, `for ${principal.id}`);
      const messages = topics.map((topic) => ({ topic, payload: `from ${principal.id}` }));
      const said = await broker.publish(session, messages);
      const heard = new Set(
        session.received.filter(({ payload }) => payload.startsWith('for')).map(({ topic }) => topic),
      );
      await session.close();
      for (const [i, topic] of topics.entries()) {
        const policy = [allows('receive', topic, 0), allows('publish', topic, 0)];
        expect([principal.id, topic, heard.has(topic), said[i]]).toEqual([principal.id, topic, ...policy]);
      }
    }
  });

  it('on topics that are none', async () => {
    const administrator = administratorOf('home');
    await homeBroker.load([administrator]);
    const rules = compileRules(administrator, 'home');
    await fc.assert(
      fc.asyncProperty(impossible, async (topic) => {
        const one = await homeBroker.connect(administrator);
        expect([topic, await one.subscribe(topic)]).toEqual([topic, rules.allows('subscribe', topic, 0)]);
        await one.close();
        const other = await homeBroker.connect(administrator);
        expect([topic, await homeBroker.publish(other, [{ topic, payload: 'x' }])]).toEqual([topic, [false]]);
        expect(rules.allows('publish', topic, 0)).toBe(false);
        await other.close();
      }),
      { numRuns: 60, endOnFailure: true },
    );
  });

  it('on the broker’s own topics, by what it answers itself', async () => {
    const administrator = administratorOf('home');
    const [device] = fc.sample(homeWorld, 1)[0]?.devices ?? [];
    if (device === undefined) throw new Error('no device');
    await homeBroker.load([administrator, device]);
    const ca = home.certificates.root.certificate;
    const visitors: [string, IClientOptions][] = [
      [home.url('controllers'), { ca, username: administrator.id, password: worldPassword }],
      [home.url('devices'), { ca, ...(await homeBroker.credentialsOf(device)) }],
    ];
    for (const [url, options] of visitors) {
      const answers = await reasonsFor(url, options, [
        '$CONTROL/dynamic-security/v1',
        '$CONTROL/dynamic-security/v1/response',
        '$CONTROL/broker/v1',
        '$CONTROL/home/x',
        '$SYS/broker/connection/home/state',
        '$SYS/home',
        '$share/all/home/x',
        'home2/x',
      ]);
      expect(new Set(answers)).toEqual(new Set(['Not authorized']));
    }
  });
});

function administratorOf(homeId: string): ControllerPrincipal {
  const [some] = fc.sample(homeWorld, 1);
  const [administrator] = observersOf({ devices: [], controllers: some?.controllers.slice(0, 1) ?? [] });
  if (administrator === undefined) throw new Error('no controller');
  return { ...administrator, id: controllerUsername('observer', homeId), homeId };
}

/** MQTT 5 tells whether a message was let through. */
async function reasonsFor(url: string, options: IClientOptions, topics: readonly string[]): Promise<string[]> {
  const client = await connectAsync(url, { ...options, protocolVersion: 5, reconnectPeriod: 0 });
  try {
    return await Promise.all(
      topics.map((topic) =>
        client.publishAsync(topic, '{"commands":[]}', { qos: 1 }).then(
          () => 'accepted',
          (error: unknown) => /Not authorized/.exec(String(error))?.[0] ?? String(error),
        ),
      ),
    );
  } finally {
    await client.endAsync(true);
  }
}
