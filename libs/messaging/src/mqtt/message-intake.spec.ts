import {
  collectingLogger,
  Collector,
  deferred,
  silentLogger,
  startTestBroker,
  type TestBroker,
  waitFor,
  waitForEvent,
} from '@mqtt2go/testing';
import type { MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MessageIntake, type MessageIntakeOptions, NotTaken } from './message-intake.js';
import { subscribeAll } from './subscribing.js';

let broker: TestBroker;
let clients: MqttClient[];

beforeEach(async () => {
  broker = await startTestBroker();
  clients = [];
});
afterEach(async () => {
  await Promise.all(clients.map((client) => client.endAsync(true)));
  await broker.close();
});

async function connect(suffix: string): Promise<MqttClient> {
  const client = broker.link('test').open(suffix);
  clients.push(client);
  await waitForEvent(client, 'connect');
  return client;
}

async function intake(options: Partial<MessageIntakeOptions> & Pick<MessageIntakeOptions, 'handle'>) {
  const client = broker.link('test').open('intake', { clean: false });
  clients.push(client);
  const created = new MessageIntake(client, { concurrency: 8, orderedByTopic: true, log: silentLogger, ...options });
  await waitForEvent(client, 'connect');
  await subscribeAll(client, ['in/#']);
  return { client, intake: created };
}

/** The payloads that the broker has seen acknowledged. */
function acknowledged(): Collector<string> {
  const collector = new Collector<string>();
  broker.aedes.on('ack', (packet, client) => {
    // The broker keeps packets for sessions that outlive their connection only: the intake's here.
    if (client.id.includes('intake') && 'payload' in packet) {
      collector.add(packet.payload.toString());
    }
  });
  return collector;
}

describe('MessageIntake', () => {
  it('acknowledges after the handler', async () => {
    const acks = acknowledged();
    const gate = deferred();
    const started = new Collector<string>();
    await intake({
      handle: async (_topic, payload) => {
        started.add(payload.toString());
        await gate.promise;
      },
    });
    const sender = await connect('sender');
    await sender.publishAsync('in/a', 'one', { qos: 1 });
    await started.first(1);
    expect(acks.items).toEqual([]);
    gate.resolve();
    expect(await acks.first(1)).toEqual(['one']);
  });

  it('leaves what a handler cannot take, and what came after it, to the next connection', async () => {
    const acks = acknowledged();
    const seen = new Collector<string>();
    let isBroken = true;
    const { client } = await intake({
      orderedByTopic: false,
      handle: async (_topic, payload) => {
        const text = payload.toString();
        seen.add(text);
        if (isBroken && text === 'two') throw new NotTaken();
      },
    });
    const sender = await connect('sender');
    for (const text of ['one', 'two', 'three']) await sender.publishAsync('in/a', text, { qos: 1 });
    expect(await seen.first(3)).toEqual(['one', 'two', 'three']);
    expect(await acks.first(1)).toEqual(['one']);
    isBroken = false;
    client.stream.destroy();
    expect(await seen.first(5)).toEqual(['one', 'two', 'three', 'two', 'three']);
    expect(await acks.first(3)).toEqual(['one', 'two', 'three']);
  });

  it('runs each handler once and lets later messages pass a slow one', async () => {
    const slow = deferred();
    const seen = new Collector<string>();
    await intake({
      handle: async (topic, payload) => {
        seen.add(payload.toString());
        if (topic === 'in/slow') {
          await slow.promise;
        }
      },
    });
    const sender = await connect('sender');
    await sender.publishAsync('in/slow', 'slow', { qos: 1 });
    await sender.publishAsync('in/b', 'b', { qos: 1 });
    await sender.publishAsync('in/c', 'c', { qos: 0 });
    expect([...(await seen.first(3))].sort()).toEqual(['b', 'c', 'slow']);
    slow.resolve();
    await sender.publishAsync('in/d', 'd', { qos: 1 });
    expect((await seen.first(4))[3]).toBe('d');
    expect(seen.items).toHaveLength(4);
  });

  it('acknowledges in the order of arrival', async () => {
    const acks = acknowledged();
    const first = deferred();
    const seen = new Collector<string>();
    await intake({
      handle: async (topic) => {
        seen.add(topic);
        await (topic === 'in/first' ? first.promise : undefined);
      },
    });
    const sender = await connect('sender');
    await sender.publishAsync('in/first', 'first', { qos: 1 });
    await sender.publishAsync('in/second', 'second', { qos: 1 });
    await seen.first(2);
    first.resolve();
    expect(await acks.first(2)).toEqual(['first', 'second']);
  });

  it('keeps the order within a topic', async () => {
    const finished = new Collector<string>();
    const delays: Record<string, number> = { '0': 3, '1': 2, '2': 1 };
    await intake({
      handle: async (_topic, payload) => {
        for (let turn = 0; turn < (delays[payload.toString()] ?? 0); turn += 1) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        finished.add(payload.toString());
      },
    });
    const sender = await connect('sender');
    for (const payload of ['0', '1', '2']) {
      sender.publish('in/a', payload, { qos: 1 });
    }
    expect(await finished.first(3)).toEqual(['0', '1', '2']);
  });

  it('runs no more handlers at once than allowed, and all in the end', async () => {
    let running = 0;
    let most = 0;
    const finished = new Collector<string>();
    await intake({
      concurrency: 3,
      handle: async (topic) => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        finished.add(topic);
      },
    });
    const sender = await connect('sender');
    for (let index = 0; index < 50; index += 1) {
      sender.publish(`in/${index}`, 'x', { qos: 1 });
    }
    await finished.first(50);
    expect(most).toBe(3);
  });

  it('drops what is beyond the backlog of a topic without holding up others', async () => {
    const { log, lines } = collectingLogger();
    const gate = deferred();
    const seen = new Collector<string>();
    await intake({
      backlogPerTopic: 2,
      log,
      handle: async (topic, payload) => {
        seen.add(payload.toString());
        await (topic === 'in/flood' ? gate.promise : undefined);
      },
    });
    const sender = await connect('sender');
    for (let index = 0; index < 6; index += 1) {
      await sender.publishAsync('in/flood', `flood ${index}`, { qos: 1 });
    }
    await sender.publishAsync('in/other', 'other', { qos: 1 });
    expect(await seen.first(2)).toEqual(['flood 0', 'other']);
    gate.resolve();
    expect(await seen.first(4)).toEqual(['flood 0', 'other', 'flood 1', 'flood 2']);
    expect(lines.filter((line) => String(line['msg']).includes('dropped'))).toHaveLength(3);
  });

  it('logs a handler that rejects or throws, acknowledges and goes on', async () => {
    const acks = acknowledged();
    const { log, lines } = collectingLogger();
    await intake({
      log,
      handle: (_topic, payload) => {
        if (payload.toString() === 'throws') {
          throw new Error('thrown');
        }
        return payload.toString() === 'rejects' ? Promise.reject(new Error('rejected')) : Promise.resolve();
      },
    });
    const sender = await connect('sender');
    for (const payload of ['throws', 'rejects', 'good']) {
      await sender.publishAsync('in/a', payload, { qos: 1 });
    }
    expect(await acks.first(3)).toEqual(['throws', 'rejects', 'good']);
    expect(lines.map((line) => line['msg'])).toEqual(Array(2).fill('a message could not be handled'));
  });

  it('gets a message again that was not acknowledged before the connection broke', async () => {
    const seen = new Collector<string>();
    const gates = [deferred(), deferred()];
    const { client } = await intake({
      handle: async (_topic, payload) => {
        const gate = gates[seen.items.length];
        seen.add(payload.toString());
        await gate?.promise;
      },
    });
    const sender = await connect('sender');
    await sender.publishAsync('in/a', 'one', { qos: 1 });
    await seen.first(1);
    const acks = acknowledged();
    client.stream.destroy();
    await waitForEvent(client, 'connect');
    // The end of the first run must not acknowledge on the new connection.
    gates[0]?.resolve();
    expect(await seen.first(2)).toEqual(['one', 'one']);
    expect(acks.items).toEqual([]);
    gates[1]?.resolve();
    expect(await acks.first(1)).toEqual(['one']);
  });

  it('gets a message again when the process that handled it is gone', async () => {
    const seen = new Collector<string>();
    const first = await intake({ handle: () => new Promise(() => seen.add('taken')) });
    const sender = await connect('sender');
    await sender.publishAsync('in/a', 'one', { qos: 1 });
    await seen.first(1);
    first.client.stream.destroy();
    await first.client.endAsync(true);
    const again = new Collector<string>();
    const client = broker.link('test').open('intake', { clean: false });
    clients.push(client);
    new MessageIntake(client, {
      concurrency: 8,
      orderedByTopic: true,
      log: silentLogger,
      handle: async (_topic, payload) => again.add(payload.toString()),
    });
    expect(await again.first(1)).toEqual(['one']);
  });

  it('lets a handler publish and wait on the same connection', async () => {
    const done = new Collector<string>();
    const { client } = await intake({
      concurrency: 2,
      handle: async () => {
        await client.publishAsync('out', 'x', { qos: 1 });
        done.add('published');
      },
    });
    const sender = await connect('sender');
    await sender.publishAsync('in/a', 'x', { qos: 1 });
    await done.first(1);
  });

  it('stops after the handlers that run, which are still acknowledged', async () => {
    const acks = acknowledged();
    const gate = deferred();
    const seen = new Collector<string>();
    const { intake: stopping } = await intake({
      concurrency: 1,
      handle: async (_topic, payload) => {
        seen.add(payload.toString());
        await gate.promise;
      },
    });
    const sender = await connect('sender');
    await sender.publishAsync('in/a', 'running', { qos: 1 });
    await sender.publishAsync('in/b', 'waiting', { qos: 1 });
    await seen.first(1);
    let stopped = false;
    const stop = stopping.stop().then(() => {
      stopped = true;
    });
    await waitFor(() => seen.items.length === 1);
    expect(stopped).toBe(false);
    gate.resolve();
    await stop;
    expect(await acks.first(1)).toEqual(['running']);
    expect(seen.items).toEqual(['running']);
  });
});
