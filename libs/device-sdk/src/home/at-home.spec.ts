import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceCommand } from '../device-events.js';
import { RunningDevices } from '../stand-in/running-devices.js';
import { reportsOn, StandInPlatform } from '../stand-in/stand-in-platform.js';
import { MemoryDeviceStore } from '../store/memory-device-store.js';

const id = 'socket-1';
const topic = 'home/gw/kitchen/socket/socket-1';

describe('a device at home', () => {
  let platform: StandInPlatform;
  let devices: RunningDevices;
  let store: MemoryDeviceStore;

  beforeEach(async () => {
    platform = await StandInPlatform.start();
    devices = new RunningDevices();
    const identity = await platform.mint(id);
    platform.activates(identity);
    platform.assigns([topic]);
    store = new MemoryDeviceStore(identity);
  });
  afterEach(async () => {
    await devices.stop();
    await platform.close();
  });

  async function told(command: object): Promise<{ command: DeviceCommand; reports: Record<string, unknown>[] }> {
    const { device, active } = devices.start(store);
    await active;
    const obeyed = once(device, 'command');
    await platform.home.publish(topic, { type: 'command', timestamp: 1, ...command });
    const [done] = await obeyed;
    await device.stop();
    return { command: done, reports: reportsOn(platform.home.seen, topic) };
  }

  it('obeys set and tells so', async () => {
    const { reports } = await told({ command_type: 'set', value: 'on' });
    expect(reports).toContainEqual(
      expect.objectContaining({
        report_type: 'command_response',
        report_name: 'set',
        value: 'ok',
        priority_level: 2,
      }),
    );
  });

  it('answers query with its state', async () => {
    const { reports } = await told({ command_type: 'query', value: 'all' });
    expect(reports).toContainEqual(expect.objectContaining({ report_name: 'query', value: { state: 'off' } }));
  });

  it.each([
    ['a command that it does not know', { command_type: 'brew', value: 'espresso' }, 'unknown_command'],
    ['a value that makes no sense', { command_type: 'set', value: 'sideways' }, 'malformed_message'],
  ])('refuses %s', async (_what, command, reason) => {
    const { reports } = await told(command);
    expect(reports).toContainEqual(expect.objectContaining({ value: { event: 'error', reason } }));
  });

  it('tells a change of its state on all of its topics, and its state from time to time', async () => {
    const second = 'home/gw/all/socket/socket-1';
    platform.assigns([topic, second]);
    const { device, active } = devices.start(store, { times: { reportEveryMs: 20 } });
    await active;
    const seen = new Promise<void>((resolve) => {
      platform.home.aedes.on('publish', () => {
        const types = reportsOn(platform.home.seen, second).map(({ report_type: type }) => type);
        if (types.includes('status') && types.filter((type) => type === 'periodic_report').length > 1) resolve();
      });
    });
    await platform.home.publish(topic, {
      type: 'command',
      timestamp: 1,
      command_type: 'set',
      value: { state: 'ON' },
    });
    await seen;
    await device.stop();
  });

  it('lets broken messages, and its own, pass', async () => {
    const { device, active, problems } = devices.start(store);
    await active;
    const obeyed = once(device, 'command');
    await platform.home.publish(topic, { type: 'report', value: 'x'.repeat(100_000) });
    await platform.home.publish(`${id}/topics`, { type: 'report', report_name: 'topics', value: 7 });
    await platform.home.publish(topic, { type: 'command', timestamp: 'no clock', command_type: 'set', value: 'on' });
    await obeyed;
    expect(problems).toEqual([]);
  });
});
