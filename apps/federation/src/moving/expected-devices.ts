import { topicMatches } from '@mqtt2go/protocol';

export interface Expected {
  /** Commands that were kept for it by this process, or are being kept. */
  kept: number;
  /** What it has subscribed to since it is expected. */
  readonly listensTo: Set<string>;
  /** What of that reaches it at once by now: all that was kept of it has been said. */
  reachedBy: readonly string[];
  /** When its first subscription was seen; all times in milliseconds. */
  listensSinceMs: number | undefined;
  /** Since when it is known to have asked for its topics. */
  hereSinceMs: number | undefined;
}

/** After its first subscription a device has the others within this, if it has any. */
const settledMs = 3_000;
/**
 * A device that has asked for its topics is taken to listen to them after this. Where the broker gives notice, that is for a
 * notice that was missed; where it does not, for all: that a device speaks on its topics is no sign, as it knows them from before.
 */
const takenToListenMs = { withNotices: 20_000, without: 3_000 } as const;

/**
 * Devices of a home whose commands are kept: not here yet, or here and perhaps not listening yet. A device is found to listen
 * by its broker's notice of the subscription, where the broker gives notice.
 */
export class ExpectedDevices {
  private readonly devices = new Map<string, Expected>();

  get isEmpty(): boolean {
    return this.devices.size === 0;
  }

  add(deviceIds: Iterable<string>): void {
    for (const deviceId of deviceIds) {
      if (this.devices.has(deviceId)) continue;
      this.devices.set(deviceId, {
        kept: 0,
        listensTo: new Set(),
        reachedBy: [],
        listensSinceMs: undefined,
        hereSinceMs: undefined,
      });
    }
  }

  /** Those that are not `away` have asked for their topics. */
  arrived(away: ReadonlySet<string>, nowMs: number): void {
    for (const [deviceId, expected] of this.devices) if (!away.has(deviceId)) expected.hereSinceMs ??= nowMs;
  }

  /** A device has subscribed to `filters`. Undefined if it was not expected. */
  listens(deviceId: string, filters: readonly string[], nowMs: number): Expected | undefined {
    const expected = this.devices.get(deviceId);
    if (expected === undefined || filters.length === 0) return undefined;
    for (const filter of filters) expected.listensTo.add(filter);
    expected.listensSinceMs ??= nowMs;
    return expected;
  }

  /** Of the device, if what is said to it on `topic` is to be kept. */
  find(deviceId: string, topic: string): Expected | undefined {
    const expected = this.devices.get(deviceId);
    return expected?.reachedBy.some((filter) => topicMatches(filter, topic)) ? undefined : expected;
  }

  /** Those for which something may be to be said. */
  due(nowMs: number, hasNotices: boolean): [string, Expected][] {
    return [...this.devices].filter(
      ([, expected]) => isOver(expected, nowMs, hasNotices) || expected.listensTo.size > expected.reachedBy.length,
    );
  }

  has(deviceId: string, expected: Expected): boolean {
    return this.devices.get(deviceId) === expected;
  }

  remove(deviceId: string): void {
    this.devices.delete(deviceId);
  }

  clear(): void {
    this.devices.clear();
  }
}

/** Whether all that is kept for it is to be said, whatever it listens to. */
export function isOver({ listensSinceMs, hereSinceMs }: Expected, nowMs: number, hasNotices: boolean): boolean {
  if (listensSinceMs !== undefined) return nowMs - listensSinceMs >= settledMs;
  const waitMs = hasNotices ? takenToListenMs.withNotices : takenToListenMs.without;
  return hereSinceMs !== undefined && nowMs - hereSinceMs >= waitMs;
}
