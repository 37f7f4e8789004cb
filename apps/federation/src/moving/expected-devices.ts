import { topicMatches } from '@mqtt2go/protocol';

export interface Expected {
  /** Commands that were kept for it by this process, or are being kept. */
  kept: number;
  /** What it has subscribed to since it is expected. */
  readonly listensTo: Set<string>;
  /** What of that reaches it at once by now: all that was kept of it has been said. */
  reachedBy: readonly string[];
  /** Since when it is known to be here; in milliseconds. */
  hereSinceMs: number | undefined;
  /** When all that is kept for it is said, whether it listens to it or not. */
  overAtMs: number;
}

/**
 * After its first subscription a device has the others within this, if it has any. Where the broker tells of none, it is
 * taken to listen this long after it has asked for its topics; that it speaks on them is no sign: it knows them from before.
 */
const settledMs = 3_000;
/** A notice can be missed by a service that is away. */
const missedMs = 60_000;

/**
 * Devices of a home whose commands are kept: not here yet, or here and perhaps not listening yet. A device is found to listen
 * by its broker's notice of the subscription, where the broker gives notice.
 */
export class ExpectedDevices {
  private readonly devices = new Map<string, Expected>();
  /** Those that listen, though they may not have asked for their topics. */
  private readonly done = new Set<string>();

  get isEmpty(): boolean {
    return this.devices.size === 0;
  }

  add(deviceIds: Iterable<string>): void {
    for (const deviceId of deviceIds) {
      if (this.done.has(deviceId) || this.devices.has(deviceId)) continue;
      this.devices.set(deviceId, {
        kept: 0,
        listensTo: new Set(),
        reachedBy: [],
        hereSinceMs: undefined,
        overAtMs: Number.POSITIVE_INFINITY,
      });
    }
  }

  /** Those that are not `away` have begun to listen at an unknown time. */
  settle(away: ReadonlySet<string>, nowMs: number): void {
    for (const [deviceId, expected] of this.devices) {
      if (!away.has(deviceId)) expected.overAtMs = Math.min(expected.overAtMs, nowMs + settledMs);
    }
  }

  /** Those that are not `away` have asked for their topics. */
  arrived(away: ReadonlySet<string>, nowMs: number, brokerTells: boolean): void {
    for (const [deviceId, expected] of this.devices) {
      if (away.has(deviceId)) continue;
      expected.hereSinceMs ??= nowMs;
      const waitMs = brokerTells ? missedMs : settledMs;
      expected.overAtMs = Math.min(expected.overAtMs, expected.hereSinceMs + waitMs);
    }
  }

  /** A device has subscribed to `filters`. Undefined if it was not expected. */
  listens(deviceId: string, filters: readonly string[], nowMs: number): Expected | undefined {
    const expected = this.devices.get(deviceId);
    if (expected === undefined || filters.length === 0) return undefined;
    for (const filter of filters) expected.listensTo.add(filter);
    expected.overAtMs = Math.min(expected.overAtMs, nowMs + settledMs);
    return expected;
  }

  /** Of the device, if what is said to it on `topic` is to be kept. */
  find(deviceId: string, topic: string): Expected | undefined {
    const expected = this.devices.get(deviceId);
    return expected?.reachedBy.some((filter) => topicMatches(filter, topic)) ? undefined : expected;
  }

  /** Those for which something may be to be said. */
  due(nowMs: number): [string, Expected][] {
    return [...this.devices].filter(
      ([, expected]) => this.isOver(expected, nowMs) || expected.listensTo.size > expected.reachedBy.length,
    );
  }

  isOver({ overAtMs }: Expected, nowMs: number): boolean {
    return nowMs >= overAtMs;
  }

  has(deviceId: string, expected: Expected): boolean {
    return this.devices.get(deviceId) === expected;
  }

  remove(deviceId: string): void {
    this.devices.delete(deviceId);
    this.done.add(deviceId);
  }

  clear(): void {
    this.devices.clear();
    this.done.clear();
  }
}
