import { createHash, randomUUID } from 'node:crypto';
import { DeviceTraffic, inTime, NotTaken } from '@mqtt2go/messaging';
import { topicMatches, topics } from '@mqtt2go/protocol';
import pRetry from 'p-retry';
import type { Logger } from 'pino';
import { z } from 'zod';
import { type Expected, ExpectedDevices, isOver } from './expected-devices.js';
import type { KeptHomes } from './kept-homes.js';
import { type KeptMessage, type KeptMessages, type Kind, mostPerDevice } from './kept-messages.js';
import type { RelayBroker } from './relay-settings.js';

export interface EarOptions {
  readonly homeId: string;
  readonly broker: RelayBroker;
  readonly homes: KeptHomes;
  readonly messages: KeptMessages;
  /** Devices that have not come to this side yet. */
  readonly awaited: () => Promise<ReadonlySet<string>>;
  /** Whether this process is still the one that listens. */
  readonly isOurs: () => boolean;
  readonly log: Logger;
}

/** How often it is asked who has come: the longer it takes, the less often, and less where the broker tells who listens. */
const awaitedEveryMs = { withNotices: [2_000, 60_000], without: [250, 5_000] } as const;
/** A broker that gives notice has done so of this subscription by then. */
const firstNoticeMs = 5_000;
const envelope = z.object({ type: z.enum(['command', 'report']) });

/**
 * One home that is listened to, by one process at a time: the broker keeps what is said while there is none. A message is
 * stored before it is acknowledged, and forgotten after the broker has acknowledged it again: it can come twice, and is not lost.
 */
export class Ear {
  private kinds: ReadonlySet<Kind> = new Set();
  private readonly expected = new ExpectedDevices();
  /** What was kept here and is said now, by how often; it is heard again and not to be kept again. */
  private readonly releases = new Map<string, number>();
  private readonly saying = new Map<string, Promise<void>>();
  private readonly traffic: DeviceTraffic;
  /** The broker has given notice of a subscription, if of nothing else of the one to its notices. */
  private isToldOf = false;
  private openedAtMs = Number.POSITIVE_INFINITY;
  private askedAtMs = Number.NEGATIVE_INFINITY;
  private failed = false;
  /** What comes before it at the broker comes before it here. */
  private barrier: { readonly topic: string; readonly pass: () => void } | undefined;

  constructor(private readonly options: EarOptions) {
    const { homeId, broker, log } = options;
    this.traffic = new DeviceTraffic(broker.link, { clientId: sessionOf(homeId), order: 'of-arrival', log });
  }

  get broker(): RelayBroker {
    return this.options.broker;
  }

  /** Something could not be taken: what is unacknowledged comes again to the next one. */
  get isBroken(): boolean {
    return this.failed;
  }

  /** @throws Mqtt2goError `unavailable` */
  async open(kinds: readonly Kind[]): Promise<void> {
    const { homeId, broker } = this.options;
    await this.keep(kinds);
    const filters = [...(broker.notices === undefined ? [] : [broker.notices.filter]), ...filtersOf(homeId)];
    await inTime(
      this.traffic.listen(filters, (topic, payload) => this.hear(topic, payload)),
      broker.link.address,
    );
    await untilConnected(this.traffic);
    this.openedAtMs = performance.now();
  }

  /** Resolves when just this is kept, and what was to be until now is stored. */
  async keep(kinds: readonly Kind[]): Promise<void> {
    const { homeId, homes, messages } = this.options;
    if (kinds.includes('held')) {
      this.expected.add(await homes.expected(homeId));
      // Something is left over for these.
      this.expected.add(await messages.heldFor(homeId));
    } else {
      this.expected.clear();
    }
    this.kinds = new Set(kinds);
    await messages.stored();
  }

  /** Lets devices that listen have what was kept for them. @returns whether nobody is expected any more */
  async release(): Promise<boolean> {
    if (!this.kinds.has('held')) return false;
    const nowMs = performance.now();
    const [leastMs, mostMs] = this.hasNotices ? awaitedEveryMs.withNotices : awaitedEveryMs.without;
    const everyMs = Math.min(mostMs, Math.max(leastMs, (nowMs - this.openedAtMs) / 20));
    if (!this.expected.isEmpty && nowMs - this.askedAtMs >= everyMs) {
      this.expected.arrived(await this.options.awaited(), nowMs);
      this.askedAtMs = nowMs;
    }
    const due = this.expected.due(nowMs, this.hasNotices);
    await Promise.all(due.map(([deviceId, expected]) => this.say(deviceId, expected)));
    return this.expected.isEmpty;
  }

  /** Not so of one that was set up without them. */
  private get hasNotices(): boolean {
    if (this.options.broker.notices === undefined) return false;
    return this.isToldOf || performance.now() - this.openedAtMs < firstNoticeMs;
  }

  /** Resolves when all is stored that the broker had taken by now. Of a home whose devices may not speak here any more. */
  async drain(): Promise<void> {
    const { homeId, broker, messages } = this.options;
    const nowhere = { gatewayId: 'moving', groupId: 'moving', deviceType: 'moving' };
    const topic = topics.device.build({ homeId, ...nowhere, deviceId: `barrier-${randomUUID()}` });
    const heard = new Promise<void>((resolve) => {
      this.barrier = { topic, pass: resolve };
    });
    await this.traffic.publish({ topic, payload: '' });
    await inTime(heard, broker.link.address);
    await messages.stored();
  }

  async close(): Promise<void> {
    await this.traffic.close();
    await Promise.allSettled(this.saying.values());
  }

  private async hear(topic: string, payload: Buffer): Promise<void> {
    if (!this.options.isOurs()) {
      this.failed = true;
      throw new NotTaken('another process may listen by now');
    }
    const notice = this.options.broker.notices?.read(topic, payload);
    if (notice !== undefined) {
      this.isToldOf = true;
      if (notice.deviceId !== undefined) this.listens(notice.deviceId, notice.filters);
      return;
    }
    if (topic === this.barrier?.topic) this.barrier.pass();
    const deviceId = topics.device.parse(topic)?.params.deviceId;
    const said = kindOf(payload);
    if (deviceId === undefined || said === undefined || this.isReleased(topic, payload)) return;
    // A command that the other side has passed on is held like any other.
    const expected = said === 'command' && this.kinds.has('held') ? this.expected.find(deviceId, topic) : undefined;
    if (expected === undefined && !this.kinds.has('onward')) return;
    // Counted before it is stored, so that whoever finds nothing stored knows whether something is on its way there.
    if (expected !== undefined) expected.kept += 1;
    const { homeId, messages } = this.options;
    const kind = expected === undefined ? 'onward' : 'held';
    await messages.store({ homeId, kind, deviceId, topic, payload }).catch((cause: unknown) => {
      this.failed = true;
      throw new NotTaken('a message could not be stored', { cause });
    });
    if (expected !== undefined && expected.kept > mostPerDevice) await messages.limit(homeId, deviceId);
  }

  private listens(deviceId: string, filters: readonly string[]): void {
    const { homeId, log } = this.options;
    const own = filters.filter((filter) => isOwn(filter, homeId, deviceId));
    const expected = this.expected.listens(deviceId, own, performance.now());
    if (expected === undefined) return;
    this.say(deviceId, expected).catch((error: unknown) =>
      log.warn({ err: error, homeId, deviceId }, 'what was kept for a device could not be said; trying again'),
    );
  }

  private say(deviceId: string, expected: Expected): Promise<void> {
    const before = this.saying.get(deviceId) ?? Promise.resolve();
    const saying = before.catch(() => undefined).then(() => this.sayKept(deviceId, expected));
    this.saying.set(deviceId, saying);
    const done = (): void => {
      if (this.saying.get(deviceId) === saying) this.saying.delete(deviceId);
    };
    saying.then(done, done);
    return saying;
  }

  /** Commands are kept until the last one was said, so that none overtakes those from before it. */
  private async sayKept(deviceId: string, expected: Expected): Promise<void> {
    const { homeId, homes, messages } = this.options;
    for (;;) {
      if (!this.expected.has(deviceId, expected)) return;
      const before = expected.kept;
      const heardOn = [...expected.listensTo];
      const isAll = isOver(expected, performance.now(), this.hasNotices);
      await messages.stored();
      const kept = await messages.held(homeId, deviceId);
      const due = isAll ? kept : kept.filter(({ topic }) => heardOn.some((filter) => topicMatches(filter, topic)));
      if (due.length === 0 && expected.kept === before) {
        if (isAll) this.expected.remove(deviceId);
        else expected.reachedBy = heardOn;
        await homes.listens(homeId, deviceId);
        return;
      }
      await this.sayAll(due);
    }
  }

  private async sayAll(due: readonly KeptMessage[]): Promise<void> {
    if (due.length === 0) return;
    const said = due.map(({ topic, payload }) => ({ topic, payload: Buffer.from(payload, 'base64') }));
    for (const { topic, payload } of said) {
      const mark = markOf(topic, payload);
      this.releases.set(mark, (this.releases.get(mark) ?? 0) + 1);
    }
    // In their order, and all acknowledged before any is forgotten.
    const publishing = said.map(({ topic, payload }) =>
      this.traffic.publish({ topic, payload: payload.toString('utf8') }).catch((error: unknown) => {
        // Heard all the same, it is kept once more; not heard, it would hide the same command when somebody says it.
        this.isReleased(topic, payload);
        throw error;
      }),
    );
    await Promise.all(publishing);
    await this.options.messages.forget(due);
  }

  private isReleased(topic: string, payload: Buffer): boolean {
    if (this.releases.size === 0) return false;
    const mark = markOf(topic, payload);
    const times = this.releases.get(mark);
    if (times === undefined) return false;
    if (times > 1) this.releases.set(mark, times - 1);
    else this.releases.delete(mark);
    return true;
  }
}

/** The session's name, the same in all processes. */
export function sessionOf(homeId: string): string {
  return `moving-${homeId}`;
}

function filtersOf(homeId: string): readonly string[] {
  return topics.device.filters({ homeId });
}

/** Whether a subscription is to what is said to this device, in whatever group, and not to its questions and answers. */
function isOwn(filter: string, homeId: string, deviceId: string): boolean {
  // A wildcard in it stands for one level, as a name does.
  return topics.device.filters({ homeId, deviceId }).some((own) => topicMatches(own, filter));
}

/** For what is to be said by it. @throws Mqtt2goError `unavailable` when it takes longer than a second or so */
export async function untilConnected(traffic: DeviceTraffic): Promise<void> {
  await pRetry(() => traffic.checkHealth(), { retries: 20, minTimeout: 50, factor: 1 });
}

/** What a device's topics carry is JSON with an envelope; what is not says nothing to anybody. */
function kindOf(payload: Buffer): 'command' | 'report' | undefined {
  try {
    return envelope.safeParse(JSON.parse(payload.toString('utf8'))).data?.type;
  } catch {
    return undefined;
  }
}

function markOf(topic: string, payload: Buffer): string {
  return createHash('sha256').update(topic).update('\0').update(payload).digest('base64url');
}
