import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Controller } from '@mqtt2go/controller-sdk';
import type { Device } from '@mqtt2go/device-sdk';
import { topicGenerator } from '@mqtt2go/messaging';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RabbitMqPlatform } from './support/rabbitmq-platform.js';

interface Resident {
  readonly device: Device;
  readonly deviceId: string;
  readonly topic: string;
  readonly app: Controller;
}

let platform: RabbitMqPlatform;
let apps: Controller[];
const residents: Resident[] = [];

beforeAll(async () => {
  platform = await RabbitMqPlatform.start();
  apps = [await platform.app(), await platform.app()];
});
afterAll(async () => {
  await Promise.all(residents.map(({ device }) => device.stop()));
  await Promise.all((apps ?? []).map((app) => app.close()));
  await platform?.close();
});

/** All 13 steps, by a device and an app as they are sold. */
async function moveIn(app: Controller): Promise<Resident> {
  const { device, deviceId, activationCode } = await platform.device();
  const active = once(device, 'active');
  void device.run();
  const request = { deviceId, activationCode, naming: { name: 'Lamp', groupIds: ['living'] } };
  await patiently(() => app.addDevice(request));
  await active;
  const resident = { device, deviceId, topic: `${app.homeId}/gw-1/living/socket/${deviceId}`, app };
  residents.push(resident);
  return resident;
}

async function obeys({ app, topic }: Resident): Promise<void> {
  expect(await patiently(() => app.send(topic, 'set', 'on', { timeoutMs: 1_000 }))).toBe('ok');
}

/** As a person with an app does it: again, when app or device are on their way back. */
async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 200; ; tries -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (tries === 0 || !(error instanceof Mqtt2goError) || !['unavailable', 'timeout'].includes(error.code))
        throw error;
      await delay(100);
    }
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

const tell = (what: string): void => {
  process.stdout.write(`RabbitMQ: ${what}\n`);
};

describe('homes on a RabbitMQ cluster', () => {
  it('takes devices in, and lets apps command them', async () => {
    const times: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      const app = apps[i % apps.length];
      if (app !== undefined) times.push(await timed(() => moveIn(app)));
    }
    for (const resident of residents) await obeys(resident);
    const sorted = times.sort((a, b) => a - b);
    tell(
      `a device moves in within ${Math.round(sorted[4] ?? 0)} ms (p50), ${Math.round(sorted.at(-1) ?? 0)} ms at most`,
    );
    const { answered, p50Ms, p99Ms } = platform.admin.stats();
    tell(`${answered} questions answered in ${p50Ms.toFixed(2)} ms (p50), ${p99Ms.toFixed(2)} ms (p99)`);
  });

  it('goes on when the node is killed that the services are on: all devices are back, and new ones move in', async () => {
    const [app] = apps;
    if (app === undefined) throw new Error('there is no app');
    const [node] = platform.cluster.nodes;
    const startedMs = performance.now();
    const newcomer = timed(() => moveIn(app));
    await node?.kill();
    await Promise.all(residents.map(obeys));
    tell(`the last device obeyed again ${Math.round(performance.now() - startedMs)} ms after kill -9 of a node`);
    tell(`a device that was being added when it happened was in after ${Math.round(await newcomer)} ms`);
    expect(residents).toHaveLength(9);
    for (const resident of residents) await obeys(resident);
  });

  it('takes the node back, and goes on without another that is stopped', async () => {
    const [app] = apps;
    const [first, second] = platform.cluster.nodes;
    if (app === undefined) throw new Error('there is no app');
    await first?.start();
    await platform.cluster.formed(3);
    await second?.stop(60);
    const newcomer = await timed(() => moveIn(app));
    const back = await Promise.all(residents.map((resident) => timed(() => obeys(resident))));
    tell(
      `after a stop: a new device in ${Math.round(newcomer)} ms, then all obeyed in ${Math.round(Math.max(...back))} ms`,
    );
    expect(residents).toHaveLength(10);
  });

  it('ends the session of a device that is revoked, wherever it is, and lets it do nothing', async () => {
    const [gone, stays] = residents;
    if (gone === undefined || stays === undefined) throw new Error('nobody has moved in');
    const refused = once(gone.device, 'problem');
    const took = await timed(async () => {
      await platform.operator.call(topicGenerator.revokeAccess, { deviceId: gone.deviceId, serialNumbers: [] });
      await refused;
    });
    tell(`revoked, and the session ended, in ${Math.round(took)} ms`);
    await expect(gone.app.send(gone.topic, 'set', 'on', { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: 'timeout',
    });
    await obeys(stays);
  });
});
