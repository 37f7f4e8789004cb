import 'reflect-metadata';
import { Mqtt2goError } from '@mqtt2go/protocol';
import {
  collectingLogger,
  Collector,
  deferred,
  startTestBroker,
  type TestBroker,
  waitFor,
  waitForEvent,
} from '@mqtt2go/testing';
import { Controller } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AedesPublishPacket } from 'aedes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { contract } from '../contracts/contract.js';
import { currentOnboardingId, onboardingLogFields, withOnboarding } from '../logging/onboarding-context.js';
import { Answers } from './answers.js';
import { Bus } from './bus.js';
import type { BusContext } from './bus-context.js';
import { BusServer, type BusServerOptions } from './bus-server.js';

const work = contract({
  service: 'provisioning',
  verb: 'work',
  callers: ['operator'],
  input: z.object({ name: z.string(), count: z.int().default(1) }),
  output: z.object({ said: z.string(), onboardingId: z.string().optional() }),
});
const nobody = contract({
  service: 'discovery',
  verb: 'nothing',
  callers: ['operator'],
  input: z.object({}),
  output: z.object({}),
});

let behaviour: (name: string) => Promise<string>;
const calls = new Collector<string>();

@Controller()
class WorkController {
  @Answers(work)
  async work(input: z.output<typeof work.input>, context: BusContext) {
    calls.add(input.name);
    const said = await behaviour(`${input.name} ${input.count}`);
    const id = context.onboardingId;
    return { said, ...(id === undefined ? {} : { onboardingId: `${id} ${currentOnboardingId()}` }) };
  }
}

class WorkModule {}

let broker: TestBroker;
let stops: (() => Promise<unknown>)[];
let logs: Record<string, unknown>[];

beforeEach(async () => {
  broker = await startTestBroker();
  stops = [];
  calls.items.length = 0;
  behaviour = async (name) => `did ${name}`;
});
afterEach(async () => {
  for (const stop of stops.reverse()) {
    await stop();
  }
  await broker.close();
});

async function serve(options: Partial<BusServerOptions> = {}): Promise<BusServer> {
  const { log, lines } = collectingLogger(onboardingLogFields);
  logs = lines;
  const strategy = new BusServer({ link: broker.link('provisioning'), service: 'provisioning', log, ...options });
  const app = await NestFactory.createMicroservice(
    { module: WorkModule, controllers: [WorkController] },
    { strategy, logger: false, abortOnError: false },
  );
  stops.push(() => app.close());
  await app.listen();
  return strategy;
}

async function caller(): Promise<Bus> {
  const bus = new Bus(broker.link('operator'));
  stops.push(() => bus.close());
  await waitFor(() => isUp(bus), 'the connection of the caller');
  return bus;
}

function isUp(bus: Bus): boolean {
  try {
    bus.checkHealth();
    return true;
  } catch {
    return false;
  }
}

function observe(topic: string): Collector<AedesPublishPacket> {
  const packets = new Collector<AedesPublishPacket>();
  broker.aedes.on('publish', (packet) => {
    if (packet.topic === topic) {
      packets.add(packet);
    }
  });
  return packets;
}

describe('the service bus', () => {
  it('answers a call, with defaults filled in', async () => {
    await serve();
    const bus = await caller();
    expect(await bus.call(work, { name: 'it' })).toEqual({ said: 'did it 1' });
  });

  it('answers many calls at once, each its own', async () => {
    await serve();
    const bus = await caller();
    const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => bus.call(work, { name: `n${index}` })));
    expect(answers.map(({ said }) => said)).toEqual(Array.from({ length: 200 }, (_, index) => `did n${index} 1`));
  });

  it('gives each of several callers its own answer', async () => {
    await serve();
    const [one, two] = [await caller(), await caller()];
    const answers = await Promise.all([one.call(work, { name: 'a' }), two.call(work, { name: 'b' })]);
    expect(answers).toEqual([{ said: 'did a 1' }, { said: 'did b 1' }]);
  });

  it('subscribes a reply topic once', async () => {
    await serve();
    const bus = await caller();
    let subscriptions = 0;
    broker.aedes.on('subscribe', (list) => {
      subscriptions += list.filter(({ topic }) => topic.endsWith('/reply')).length;
    });
    await Promise.all([bus.call(work, { name: 'a' }), bus.call(work, { name: 'b' })]);
    await bus.call(work, { name: 'c' });
    expect(subscriptions).toBe(1);
  });

  it('carries the onboarding to the handler and its log lines', async () => {
    await serve();
    const bus = await caller();
    expect(await withOnboarding('ob-1', () => bus.call(work, { name: 'x' }))).toMatchObject({
      onboardingId: 'ob-1 ob-1',
    });
    expect(await bus.call(work, { name: 'x' }, { onboardingId: 'ob-2' })).toMatchObject({ onboardingId: 'ob-2 ob-2' });
    expect(await bus.call(work, { name: 'x' })).toEqual({ said: 'did x 1' });
    behaviour = () => Promise.reject(new Error('boom'));
    await expect(bus.call(work, { name: 'x' }, { onboardingId: 'ob-3' })).rejects.toMatchObject({ code: 'internal' });
    expect(logs.slice(-2)).toMatchObject([
      { onboardingId: 'ob-3', msg: 'a bus request failed' },
      { onboardingId: 'ob-3', msg: 'a bus request was answered', error: 'internal' },
    ]);
  });

  it('gives the caller the coded error that the handler threw, and does not ask again', async () => {
    await serve();
    const bus = await caller();
    behaviour = () => Promise.reject(new Mqtt2goError('unknown_device', 'no such lamp'));
    const error = await bus.call(work, { name: 'x' }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Mqtt2goError);
    expect(error).toMatchObject({ code: 'unknown_device', message: 'no such lamp' });
    expect(calls.items).toHaveLength(1);
    expect(logs).toEqual([]);
  });

  it('tells of a defect no more than that there was one, and logs it once', async () => {
    await serve();
    const replies = observe(`${work.pattern}/reply`);
    const bus = await caller();
    behaviour = () => Promise.reject(new TypeError('secret detail'));
    await expect(bus.call(work, { name: 'x' })).rejects.toMatchObject({ code: 'internal' });
    const [reply] = await replies.first(1);
    expect(Object.keys(JSON.parse(String(reply?.payload)).err)).toEqual(['code', 'message']);
    expect(String(reply?.payload)).not.toContain('secret');
    expect(logs).toHaveLength(1);
    expect(logs[0]).toMatchObject({ err: { type: 'TypeError', message: 'secret detail' }, topic: work.pattern });
  });

  it('refuses input that is not as agreed', async () => {
    await serve();
    const bus = await caller();
    const wrong: unknown = { name: 5 };
    await expect(bus.call(work, wrong as { name: string })).rejects.toMatchObject({ code: 'malformed_message' });
    expect(calls.items).toEqual([]);
  });

  it('refuses an answer that is not as agreed', async () => {
    await serve();
    const bus = await caller();
    behaviour = async () => 7 as unknown as string;
    await expect(bus.call(work, { name: 'x' })).rejects.toMatchObject({ code: 'internal' });
  });

  it('is not disturbed by messages that are no requests or replies', async () => {
    await serve();
    const bus = await caller();
    await bus.call(work, { name: 'before' });
    const stranger = broker.link('stranger').open('x');
    stops.push(() => stranger.endAsync(true));
    await waitForEvent(stranger, 'connect');
    const payloads = [
      '',
      'null',
      '{',
      '[]',
      '5',
      '"x"',
      '{"id":"a"}',
      '{"id":5,"data":{}}',
      '{"id":"x","err":5}',
      '['.repeat(50_000),
    ];
    for (const payload of payloads) {
      await stranger.publishAsync(work.pattern, payload, { qos: 1 });
      await stranger.publishAsync(`${work.pattern}/reply`, payload, { qos: 1 });
    }
    expect(await bus.call(work, { name: 'after' })).toEqual({ said: 'did after 1' });
    expect(calls.items).toEqual(['before', 'after']);
  });

  it('asks again when no answer came, and says timeout in the end', async () => {
    const bus = await caller();
    const requests = observe(nobody.pattern);
    await expect(bus.call(nobody, {}, { timeoutMs: 20, retries: 2 })).rejects.toMatchObject({ code: 'timeout' });
    expect(requests.items).toHaveLength(3);
    expect(new Set(requests.items.map(({ payload }) => JSON.parse(String(payload)).id)).size).toBe(3);
    expect(requests.items.map(({ qos }) => qos)).toEqual([1, 1, 1]);
  });

  it('gets the answer of a later attempt', async () => {
    const never = deferred<string>();
    await serve();
    const bus = await caller();
    behaviour = (name) => (calls.items.length === 1 ? never.promise : Promise.resolve(`did ${name}`));
    expect(await bus.call(work, { name: 'x' }, { timeoutMs: 100 })).toEqual({ said: 'did x 1' });
    expect(calls.items).toHaveLength(2);
    never.resolve('late');
  });

  it('asks a service again that says it is unavailable', async () => {
    await serve();
    const bus = await caller();
    behaviour = (name) =>
      calls.items.length === 1 ? Promise.reject(new Mqtt2goError('unavailable')) : Promise.resolve(`did ${name}`);
    expect(await bus.call(work, { name: 'x' })).toEqual({ said: 'did x 1' });
  });

  it('says unavailable without a broker, and works again when it is back', async () => {
    await serve();
    const bus = await caller();
    broker.refuse = true;
    broker.disconnectAll();
    await waitFor(() => !isUp(bus));
    await expect(bus.call(work, { name: 'x' }, { retries: 0 })).rejects.toMatchObject({ code: 'unavailable' });
    broker.refuse = false;
    await waitFor(() => isUp(bus));
    expect(await bus.call(work, { name: 'back' }, { timeoutMs: 200, retries: 10 })).toEqual({ said: 'did back 1' });
  });

  it('asks again at once when the connection is lost while it waits', async () => {
    await serve();
    const bus = await caller();
    const never = deferred<string>();
    behaviour = (name) => (name.startsWith('lost') && calls.items.length === 1 ? never.promise : Promise.resolve(name));
    const answer = bus.call(work, { name: 'lost' }, { timeoutMs: 3_000, retries: 10 });
    await calls.first(1);
    broker.disconnectAll();
    expect(await answer).toEqual({ said: 'lost 1' });
    never.resolve('');
  });

  it('works on requests at the same time, within a limit', async () => {
    const gate = deferred();
    await serve({ concurrency: 2 });
    const bus = await caller();
    behaviour = async (name) => {
      await (name.startsWith('slow') ? gate.promise : undefined);
      return name;
    };
    const slow = bus.call(work, { name: 'slow' });
    expect(await bus.call(work, { name: 'quick' })).toEqual({ said: 'quick 1' });
    gate.resolve();
    expect(await slow).toEqual({ said: 'slow 1' });
  });

  it('finishes a running request before it closes', async () => {
    const server = await serve();
    const bus = await caller();
    const gate = deferred<string>();
    behaviour = () => gate.promise;
    const answer = bus.call(work, { name: 'x' });
    await calls.first(1);
    const closed = server.close();
    gate.resolve('done');
    await closed;
    expect(await answer).toEqual({ said: 'done' });
    expect(() => server.checkHealth()).toThrow('no connection');
  });

  it('does not start when the broker refuses its subscription', async () => {
    broker.aedes.authorizeSubscribe = (_client, subscription, done) =>
      done(null, subscription.topic === work.pattern ? null : subscription);
    await expect(serve()).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('tells the caller whose reply topic the broker refuses', async () => {
    await serve();
    const bus = await caller();
    broker.aedes.authorizeSubscribe = (_client, _subscription, done) => done(null, null);
    await expect(bus.call(work, { name: 'x' })).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('shares requests among replicas on brokers that can', async () => {
    const filters = new Collector<string>();
    broker.aedes.on('subscribe', (list) => list.forEach(({ topic }) => filters.add(topic)));
    await serve({ shared: true });
    expect(await filters.first(1)).toEqual([`$share/provisioning/${work.pattern}`]);
  });
});
