import { createHash } from 'node:crypto';
import { type BrokerLink, Bus, DeviceTraffic, moving } from '@mqtt2go/messaging';
import { Mqtt2goError, topics } from '@mqtt2go/protocol';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Logger } from 'pino';
import { DataSource } from 'typeorm';
import { z } from 'zod';

export interface RelayBroker {
  /** As the topic generator calls it. */
  readonly name: string;
  readonly link: BrokerLink;
}

export class RelaySettings {
  constructor(
    readonly brokers: readonly RelayBroker[],
    readonly log: Logger,
  ) {}
}

interface Message {
  readonly topic: string;
  /** base64 */
  readonly payload: string;
}

/** `onward`: for the other side. `held`: for a device that is not here yet. */
type Kind = 'onward' | 'held';

interface KeptMessage {
  readonly homeId: string;
  readonly kind: Kind;
  readonly deviceId: string;
  readonly topic: string;
  readonly payload: Buffer;
}

interface Expected {
  /** When its arrival was noticed. */
  arrivedAtMs: number | undefined;
  /** Commands that were kept for it by this process, or are being kept. */
  kept: number;
}

const newExpected = (): Expected => ({ arrivedAtMs: undefined, kept: 0 });

/** One home that is listened to. */
interface Ear {
  readonly link: BrokerLink;
  readonly traffic: DeviceTraffic;
  readonly kinds: Set<Kind>;
  /** Devices whose commands are kept: not here yet, or here (since when, in ms) and perhaps not listening yet. */
  readonly expected: Map<string, Expected>;
  /** What was said here by this process for the other side; it is heard again and is not for that side. */
  readonly echoes: Set<string>;
  /** What was kept here and is said now; it is heard again and not to be kept again. */
  readonly releases: Set<string>;
}

const pageSize = 200;
const lookMs = 250;
/**
 * A device that has asked for its topics is taken to listen to them after this. That it speaks on them is no sign: it knows
 * them from before, and may speak before it has subscribed.
 */
const settledMs = 3_000;
/** As many as a broker keeps for a session. */
const mostPerDevice = 500;
const envelope = z.object({ type: z.enum(['command', 'report']) });

/**
 * What is said to or by a home's devices while they are between two brokers. The side that the home leaves keeps it until it
 * is taken over to the other one. The side where it arrives keeps commands for devices that
 * have not come yet, and says them again when they have. A message is stored before it is acknowledged, and forgotten after
 * the other side or the broker has acknowledged it: it can come twice, and is not lost.
 */
@Injectable()
export class Relay implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly ears = new Map<string, Promise<Ear>>();
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;
  private storing: Promise<void> = Promise.resolve();
  private next: { readonly messages: KeptMessage[]; readonly stored: Promise<void> } | undefined;
  private closed = false;

  constructor(
    private readonly dataSource: DataSource,
    private readonly bus: Bus,
    private readonly settings: RelaySettings,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.timer = setInterval(() => this.look(), lookMs);
  }

  async onModuleDestroy(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    await this.looking;
    const ears = await Promise.allSettled(this.ears.values());
    await Promise.all(ears.flatMap((ear) => (ear.status === 'fulfilled' ? [ear.value.traffic.close()] : [])));
  }

  /** Resolves when all that is said on devices' topics from now on is kept for the other side. @throws Mqtt2goError `unavailable` */
  async keepAll(homeId: string, moveId: string): Promise<void> {
    await this.keep(homeId, moveId, 'onward');
    // What waits here for devices that have not come since an earlier move is for the other side to say.
    await this.end(homeId, 'held');
    await this.dataSource.query(
      `UPDATE federation.kept_message SET kind = 'onward' WHERE home_id = $1 AND kind = 'held'`,
      [homeId],
    );
  }

  /** Resolves when every command from now on for a device that is awaited is kept. @throws Mqtt2goError `unavailable` */
  async holdCommands(homeId: string, moveId: string): Promise<void> {
    await this.keep(homeId, moveId, 'held');
  }

  /** Keeps nothing more; what was kept can still be taken. */
  async endKeeping(homeId: string): Promise<void> {
    await this.end(homeId, 'onward');
  }

  async forget(homeId: string): Promise<void> {
    await this.end(homeId, 'held');
    await this.dataSource.query(`DELETE FROM federation.kept_message WHERE home_id = $1 AND kind = 'held'`, [homeId]);
  }

  async take(homeId: string, taken: number): Promise<(Message & { number: number })[]> {
    await this.dataSource.query(
      `DELETE FROM federation.kept_message WHERE home_id = $1 AND kind = 'onward' AND number <= $2`,
      [homeId, taken],
    );
    return this.kept(homeId, 'onward', undefined);
  }

  /** @throws Mqtt2goError `forbidden` for a topic that is not of a device of this home; `unavailable` */
  async deliver(homeId: string, messages: readonly Message[]): Promise<void> {
    for (const { topic } of messages) {
      if (topics.device.parse(topic)?.params.homeId !== homeId) {
        throw new Mqtt2goError('forbidden', 'Only what devices of the home say is passed on.');
      }
    }
    const ear = await this.earOf(homeId);
    for (const { topic, payload } of messages) {
      ear.echoes.add(markOf(topic, payload));
      await this.say(ear, { topic, payload });
    }
  }

  private async keep(homeId: string, moveId: string, kind: Kind): Promise<void> {
    await this.dataSource.query(
      `INSERT INTO federation.kept_home (home_id, kind, move_id) VALUES ($1, $2, $3)
       ON CONFLICT (home_id, kind) DO UPDATE SET move_id = excluded.move_id`,
      [homeId, kind, moveId],
    );
    const ear = await this.earOf(homeId);
    ear.kinds.add(kind);
    if (kind === 'held') await this.expect(homeId, ear);
  }

  private async end(homeId: string, kind: Kind): Promise<void> {
    await this.dataSource.query('DELETE FROM federation.kept_home WHERE home_id = $1 AND kind = $2', [homeId, kind]);
    const ear = await this.ears.get(homeId);
    ear?.kinds.delete(kind);
    if (ear === undefined || ear.kinds.size > 0) return;
    this.ears.delete(homeId);
    await ear.traffic.close();
    // The broker goes on to keep messages for a session until another one takes its place.
    const last = new DeviceTraffic(ear.link, {
      clientId: clientIdOf(homeId),
      session: 'clean',
      log: this.settings.log,
    });
    await last.listen(topics.device.filters({ homeId }), async () => undefined).finally(() => last.close());
  }

  private async earOf(homeId: string): Promise<Ear> {
    const known = this.ears.get(homeId);
    if (known !== undefined) return known;
    const opening = this.open(homeId);
    this.ears.set(homeId, opening);
    opening.catch(() => this.ears.delete(homeId));
    return opening;
  }

  private async open(homeId: string): Promise<Ear> {
    if (this.closed) throw new Mqtt2goError('unavailable', 'The service stops.');
    const { broker } = await this.bus.call(moving.getHomeStanding, { homeId }, { retries: 1 });
    const { brokers, log } = this.settings;
    const found = brokers.find(({ name }) => name === broker) ?? (broker === undefined ? brokers[0] : undefined);
    if (found === undefined)
      throw new Mqtt2goError('configuration_invalid', `There is no link to the broker ${broker}.`);
    const traffic = new DeviceTraffic(found.link, { clientId: clientIdOf(homeId), log });
    const ear: Ear = {
      link: found.link,
      traffic,
      kinds: new Set(),
      expected: new Map(),
      echoes: new Set(),
      releases: new Set(),
    };
    const kinds = await this.dataSource.query<{ kind: Kind }[]>(
      'SELECT kind FROM federation.kept_home WHERE home_id = $1',
      [homeId],
    );
    for (const { kind } of kinds) ear.kinds.add(kind);
    if (ear.kinds.has('held')) await this.expect(homeId, ear);
    try {
      await traffic.listen(topics.device.filters({ homeId }), (topic, payload) =>
        this.hear(homeId, ear, topic, payload),
      );
    } catch (error) {
      await traffic.close();
      throw error;
    }
    return ear;
  }

  private async hear(homeId: string, ear: Ear, topic: string, payload: Buffer): Promise<void> {
    const deviceId = topics.device.parse(topic)?.params.deviceId;
    const said = kindOf(payload);
    if (deviceId === undefined || said === undefined) return;
    const mark = markOf(topic, payload.toString('base64'));
    if (ear.releases.delete(mark)) return;
    const isEcho = ear.echoes.delete(mark);
    const expected = ear.expected.get(deviceId);
    // A command that the other side has passed on is held like any other.
    const isHeld = ear.kinds.has('held') && said === 'command' && expected !== undefined;
    const isOnward = ear.kinds.has('onward') && !isEcho;
    if (!isHeld && !isOnward) return;
    // Counted before it is stored, so that whoever finds nothing stored knows whether something is on its way there.
    if (isHeld) expected.kept += 1;
    await this.store({ homeId, kind: isHeld ? 'held' : 'onward', deviceId, topic, payload });
    if (isHeld && expected.kept > mostPerDevice) await this.limit(homeId, deviceId);
  }

  /** What comes while a statement is under way is stored by the next one, all together: a commit costs what a message does. */
  private async store(message: KeptMessage): Promise<void> {
    const batch = (this.next ??= this.storeNext());
    batch.messages.push(message);
    await batch.stored;
  }

  /** Resolves when all that was to be stored until now is, or is not. */
  private async stored(): Promise<void> {
    await this.next?.stored.catch(() => undefined);
    await this.storing;
  }

  private storeNext(): { messages: KeptMessage[]; stored: Promise<void> } {
    const messages: KeptMessage[] = [];
    const stored = this.storing.then(async () => {
      this.next = undefined;
      const column = <V>(value: (message: KeptMessage) => V): V[] => messages.map(value);
      await this.dataSource.query(
        `INSERT INTO federation.kept_message (home_id, kind, device_id, topic, payload)
         SELECT * FROM unnest($1::varchar[], $2::varchar[], $3::varchar[], $4::varchar[], $5::bytea[])`,
        [
          column(({ homeId }) => homeId),
          column(({ kind }) => kind),
          column(({ deviceId }) => deviceId),
          column(({ topic }) => topic),
          column(({ payload }) => payload),
        ],
      );
    });
    this.storing = stored.catch(() => undefined);
    return { messages, stored };
  }

  private async limit(homeId: string, deviceId: string): Promise<void> {
    const dropped = await this.dataSource.query<unknown[]>(
      `WITH dropped AS (
         DELETE FROM federation.kept_message WHERE number IN (
           SELECT number FROM federation.kept_message WHERE home_id = $1 AND kind = 'held' AND device_id = $2
           ORDER BY number DESC OFFSET $3)
         RETURNING 1
       ) SELECT 1 FROM dropped`,
      [homeId, deviceId, mostPerDevice],
    );
    if (dropped.length > 0) this.settings.log.warn({ homeId, deviceId }, 'the oldest command for a device was dropped');
  }

  private look(): void {
    if (this.looking !== undefined || this.closed) return;
    this.looking = this.lookAfter()
      .catch((error: unknown) => this.settings.log.warn({ err: error }, 'homes that move wait; trying again'))
      .finally(() => {
        this.looking = undefined;
      });
  }

  /** Takes up what an earlier process left, and lets devices that have come have what was kept for them. */
  private async lookAfter(): Promise<void> {
    const homes = await this.dataSource.query<{ home_id: string; kind: Kind }[]>(
      '/* background */ SELECT home_id, kind FROM federation.kept_home',
    );
    for (const { home_id: homeId, kind } of homes) {
      const ear = await this.earOf(homeId);
      if (kind === 'held') await this.release(homeId, ear);
    }
  }

  private async release(homeId: string, ear: Ear): Promise<void> {
    if (ear.expected.size === 0) return this.endIfAllHere(homeId, ear);
    const awaited = await this.awaited(homeId);
    const nowMs = performance.now();
    const come: [string, Expected][] = [];
    for (const [deviceId, expected] of ear.expected) {
      if (awaited.has(deviceId)) continue;
      expected.arrivedAtMs ??= nowMs;
      if (nowMs - expected.arrivedAtMs >= settledMs) come.push([deviceId, expected]);
    }
    await Promise.all(come.map(([deviceId, expected]) => this.sayKept(homeId, ear, deviceId, expected)));
  }

  private async endIfAllHere(homeId: string, ear: Ear): Promise<void> {
    // Before the home is taken over nobody is awaited by anybody.
    await this.expect(homeId, ear);
    if (ear.expected.size > 0) return;
    const { standing } = await this.bus.call(moving.getHomeStanding, { homeId }, { retries: 0 });
    if (standing === 'here') await this.end(homeId, 'held');
  }

  /** Commands are kept until the last one was said, so that none overtakes those from before it. */
  private async sayKept(homeId: string, ear: Ear, deviceId: string, expected: Expected): Promise<void> {
    for (;;) {
      const before = expected.kept;
      await this.stored();
      const messages = await this.kept(homeId, 'held', deviceId);
      if (messages.length === 0 && expected.kept === before) {
        ear.expected.delete(deviceId);
        return;
      }
      for (const { topic, payload } of messages) ear.releases.add(markOf(topic, payload));
      // In their order, and all acknowledged before any is forgotten.
      await Promise.all(messages.map((message) => this.say(ear, message)));
      await this.dataSource.query('DELETE FROM federation.kept_message WHERE number = ANY($1::bigint[])', [
        messages.map(({ number }) => number),
      ]);
    }
  }

  private async expect(homeId: string, ear: Ear): Promise<void> {
    for (const deviceId of await this.awaited(homeId)) {
      if (!ear.expected.has(deviceId)) ear.expected.set(deviceId, newExpected());
    }
    // Of those that have come while nobody looked, too.
    const rows = await this.dataSource.query<{ device_id: string }[]>(
      `SELECT DISTINCT device_id FROM federation.kept_message WHERE home_id = $1 AND kind = 'held'`,
      [homeId],
    );
    for (const { device_id: deviceId } of rows) {
      if (!ear.expected.has(deviceId)) ear.expected.set(deviceId, newExpected());
    }
  }

  private async awaited(homeId: string): Promise<Set<string>> {
    const all = new Set<string>();
    let after: string | undefined = '';
    while (after !== undefined) {
      const page: { deviceIds: string[]; upTo?: string | undefined } = await this.bus.call(
        moving.listAwaitedDevices,
        { homeId, after },
        { retries: 0 },
      );
      for (const deviceId of page.deviceIds) all.add(deviceId);
      after = page.upTo;
    }
    return all;
  }

  private async kept(
    homeId: string,
    kind: Kind,
    deviceId: string | undefined,
  ): Promise<(Message & { number: number })[]> {
    const rows = await this.dataSource.query<{ number: string; topic: string; payload: Buffer }[]>(
      `SELECT number, topic, payload FROM federation.kept_message
       WHERE home_id = $1 AND kind = $2 AND ($3::varchar IS NULL OR device_id = $3) ORDER BY number LIMIT $4`,
      [homeId, kind, deviceId ?? null, pageSize],
    );
    return rows.map(({ number, topic, payload }) => ({
      number: Number(number),
      topic,
      payload: payload.toString('base64'),
    }));
  }

  private async say(ear: Ear, { topic, payload }: Message): Promise<void> {
    await ear.traffic.publish({ topic, payload: Buffer.from(payload, 'base64').toString('utf8') });
  }
}

/** What a device's topics carry is JSON with an envelope; what is not says nothing to anybody. */
function kindOf(payload: Buffer): 'command' | 'report' | undefined {
  try {
    return envelope.safeParse(JSON.parse(payload.toString('utf8'))).data?.type;
  } catch {
    return undefined;
  }
}

function markOf(topic: string, payload: string): string {
  return createHash('sha256').update(topic).update('\0').update(payload).digest('base64url');
}

function clientIdOf(homeId: string): string {
  return `moving-${homeId}`;
}
