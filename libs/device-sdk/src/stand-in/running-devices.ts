import { once } from 'node:events';
import { SwitchAppliance } from '../appliance/switch-appliance.js';
import { Device, type DeviceOptions, type DeviceTimes } from '../device.js';
import type { DeviceNotice, DeviceProblem, DeviceStep } from '../device-events.js';
import type { DeviceStore } from '../store/device-store.js';

/** An impatient device, so that a test loses no time. */
export const shortTimes: DeviceTimes = {
  backOff: { minMs: 5, maxMs: 20 },
  connectTimeoutMs: 5_000,
  answerTimeoutMs: 5_000,
  askAgainMs: 60_000,
  reportEveryMs: 60_000,
  renewAgainMs: 60_000,
};

/** The devices of a test, and what they tell of themselves; for tests only. */
export class RunningDevices {
  readonly #devices: Device[] = [];

  start(store: DeviceStore, { times, ...options }: DeviceOptions = {}) {
    const appliance = new SwitchAppliance();
    const device = new Device(store, { times: { ...shortTimes, ...times }, appliance, ...options });
    this.#devices.push(device);
    const steps: DeviceStep[] = [];
    const problems: DeviceProblem[] = [];
    const notices: DeviceNotice[] = [];
    device.on('step', (step) => steps.push(step));
    device.on('problem', (problem) => problems.push(problem));
    device.on('notice', (notice) => notices.push(notice));
    const active = once(device, 'active');
    const ended = device.run();
    ended.catch(() => undefined);
    return { device, steps, problems, notices, active, ended, appliance };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#devices.splice(0).map((device) => device.stop()));
  }
}

/** Resolves with the next notice of a kind. */
export function noticed(device: Device, kind: DeviceNotice['kind'], direction?: 'in' | 'out'): Promise<DeviceNotice> {
  return new Promise((resolve) => {
    const listener = (notice: DeviceNotice): void => {
      if (notice.kind !== kind || (direction !== undefined && notice.direction !== direction)) return;
      device.off('notice', listener);
      resolve(notice);
    };
    device.on('notice', listener);
  });
}
