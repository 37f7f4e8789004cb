import { setTimeout as sleep } from 'node:timers/promises';
import { Bus, DeviceTraffic, endSession, moving } from '@mqtt2go/messaging';
import { Mqtt2goError, topics } from '@mqtt2go/protocol';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Ear, sessionOf, untilConnected } from './ear.js';
import { KeptHomes, type Keeping, leaseOf } from './kept-homes.js';
import { type KeptMessage, KeptMessages, type Kind, type Message } from './kept-messages.js';
import { Leases } from './leases.js';
import { type RelayBroker, RelaySettings } from './relay-settings.js';

const lookMs = 250;
const pollMs = 50;
/** Longer than a lease: whoever has died is followed by then. */
const longestWaitMs = 14_000;

/**
 * What is said to or by a home's devices while they are between two brokers. The side that the home leaves keeps it until it
 * is taken over to the other one. The side where it arrives keeps commands for devices that have not come yet, and says them
 * again when they have. Of several processes one listens to a home, and each answers for it: what is to be kept is written
 * down, and the one that listens, or the first to find that none does, makes it so.
 */
@Injectable()
export class Relay implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly ears = new Map<string, Ear>();
  private readonly tending = new Map<string, Promise<void>>();
  private readonly speakers = new Map<string, DeviceTraffic>();
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;
  private closed = false;

  constructor(
    private readonly homes: KeptHomes,
    private readonly messages: KeptMessages,
    private readonly leases: Leases,
    private readonly bus: Bus,
    private readonly settings: RelaySettings,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.look(), lookMs);
  }

  async onModuleDestroy(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    await this.looking;
    await Promise.allSettled(this.tending.values());
    await Promise.all([...this.speakers.values()].map((speaker) => speaker.close()));
    const homes = [...this.ears.keys()];
    await Promise.all(homes.map((homeId) => this.drop(homeId)));
    await Promise.allSettled(homes.map((homeId) => this.leases.release(leaseOf(homeId))));
  }

  /** Resolves when all that is said on devices' topics from now on is kept for the other side. @throws Mqtt2goError `unavailable` */
  async keepAll(homeId: string, moveId: string): Promise<void> {
    await this.homes.want(homeId, moveId, 'onward');
    // What waits here for devices that have not come since an earlier move is for the other side to say.
    await this.homes.end(homeId, 'held');
    await this.settled(homeId);
    await this.messages.turnOnward(homeId);
  }

  /** Resolves when every command from now on for a device that is awaited is kept. @throws Mqtt2goError `unavailable` */
  async holdCommands(homeId: string, moveId: string): Promise<void> {
    await this.homes.expect(homeId, [...(await this.awaited(homeId))]);
    await this.homes.want(homeId, moveId, 'held');
    await this.settled(homeId);
  }

  /** Keeps nothing more; what was kept can still be taken. @throws Mqtt2goError `unavailable` */
  async endKeeping(homeId: string): Promise<void> {
    await this.homes.end(homeId, 'onward');
    await this.settled(homeId);
  }

  /** Of a home that does not come after all. @throws Mqtt2goError `unavailable` */
  async forget(homeId: string): Promise<void> {
    await this.homes.end(homeId, 'held');
    await this.settled(homeId);
    await this.messages.forgetHeld(homeId);
  }

  async take(homeId: string, taken: number): Promise<KeptMessage[]> {
    await this.messages.forgetOnward(homeId, taken);
    return this.messages.onward(homeId);
  }

  /** @throws Mqtt2goError `forbidden` for a topic that is not of a device of this home; `unavailable` */
  async deliver(homeId: string, messages: readonly Message[]): Promise<void> {
    for (const { topic } of messages) {
      if (topics.device.parse(topic)?.params.homeId !== homeId) {
        throw new Mqtt2goError('forbidden', 'Only what devices of the home say is passed on.');
      }
    }
    const speaker = await this.speakerAt(await this.brokerOf(homeId));
    // In their order.
    await Promise.all(
      messages.map(({ topic, payload }) =>
        speaker.publish({ topic, payload: Buffer.from(payload, 'base64').toString('utf8') }),
      ),
    );
  }

  /** Resolves when whoever listens to the home has made it so. */
  private async settled(homeId: string): Promise<void> {
    const untilMs = performance.now() + longestWaitMs;
    for (;;) {
      await this.tend(homeId);
      const keeping = await this.homes.of(homeId);
      if (keeping === undefined || keeping.isSettled) return;
      if (performance.now() > untilMs) {
        throw new Mqtt2goError('unavailable', 'The process that listens to the home does not answer.');
      }
      await sleep(pollMs);
    }
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
    await this.leases.renew();
    const homes = await this.homes.all();
    const kept = new Set(homes.map(({ homeId }) => homeId));
    for (const homeId of this.ears.keys()) if (!kept.has(homeId)) this.tendLater(homeId);
    for (const keeping of homes) {
      const { homeId, isFree, isSettled } = keeping;
      if (isFree || this.ears.has(homeId)) this.tendLater(homeId, isSettled ? keeping : undefined);
    }
  }

  /** One whose broker is away keeps up none of the others. */
  private tendLater(homeId: string, keeping?: Keeping): void {
    if (this.tending.has(homeId)) return;
    this.tend(homeId, keeping).catch((error: unknown) =>
      this.settings.log.warn({ err: error, homeId }, 'a home that moves waits; trying again'),
    );
  }

  /** One after the other for each home. */
  private tend(homeId: string, keeping?: Keeping): Promise<void> {
    const before = this.tending.get(homeId) ?? Promise.resolve();
    const tended = before.catch(() => undefined).then(() => this.tendNow(homeId, keeping));
    this.tending.set(homeId, tended);
    const done = (): void => {
      if (this.tending.get(homeId) === tended) this.tending.delete(homeId);
    };
    tended.then(done, done);
    return tended;
  }

  /**
   * Makes it so that just that is kept of the home that is to be, unless another process has it.
   * @param known how it is, if that was read just now and is settled
   */
  private async tendNow(homeId: string, known: Keeping | undefined): Promise<void> {
    if (this.closed) throw new Mqtt2goError('unavailable', 'The service stops.');
    const lease = leaseOf(homeId);
    if (!this.leases.holds(lease) && !(await this.leases.claim(lease))) return this.drop(homeId);
    const keeping = known ?? (await this.homes.of(homeId));
    if (this.ears.get(homeId)?.isBroken === true) await this.drop(homeId);
    // What was said for the other side until the end is kept, if it has not been heard yet.
    if (keeping?.ending.includes('onward') === true) {
      await (await this.earOf(homeId, [...keeping.wanted, 'onward'])).drain();
    }
    if (keeping === undefined || keeping.wanted.length === 0) return this.stopListening(homeId, keeping);
    const ear = await this.earOf(homeId, keeping.wanted);
    if (!keeping.isSettled) {
      await ear.keep(keeping.wanted);
      await this.homes.settle(keeping);
    }
    if (await ear.release()) await this.endIfHere(homeId);
  }

  private async earOf(homeId: string, kinds: readonly Kind[]): Promise<Ear> {
    const known = this.ears.get(homeId);
    if (known !== undefined) return known;
    const broker = await this.brokerOf(homeId);
    const { log } = this.settings;
    const awaited = () => this.awaited(homeId);
    const isOurs = () => this.leases.holds(leaseOf(homeId));
    const { homes, messages } = this;
    const ear = new Ear({ homeId, broker, homes, messages, awaited, isOurs, log });
    try {
      await ear.open(kinds);
    } catch (error) {
      await ear.close();
      throw error;
    }
    this.ears.set(homeId, ear);
    return ear;
  }

  private async stopListening(homeId: string, keeping: Keeping | undefined): Promise<void> {
    const broker = this.ears.get(homeId)?.broker;
    await this.drop(homeId);
    if (keeping !== undefined || broker !== undefined) {
      const { link } = broker ?? (await this.brokerOf(homeId));
      await endSession(link, sessionOf(homeId));
      if (keeping !== undefined) await this.homes.settle(keeping);
    }
    await this.leases.release(leaseOf(homeId));
  }

  private async drop(homeId: string): Promise<void> {
    const ear = this.ears.get(homeId);
    this.ears.delete(homeId);
    await ear?.close();
  }

  /** Before the home is taken over nobody is awaited by anybody. */
  private async endIfHere(homeId: string): Promise<void> {
    const { standing } = await this.bus.call(moving.getHomeStanding, { homeId }, { retries: 0 });
    if (standing === 'here') await this.homes.end(homeId, 'held');
  }

  /** @throws Mqtt2goError `configuration_invalid` for a broker that this process has no link to */
  private async brokerOf(homeId: string): Promise<RelayBroker> {
    const { broker } = await this.bus.call(moving.getHomeStanding, { homeId }, { retries: 1 });
    const { brokers } = this.settings;
    const found = brokers.find(({ name }) => name === broker) ?? (broker === undefined ? brokers[0] : undefined);
    if (found !== undefined) return found;
    throw new Mqtt2goError('configuration_invalid', `There is no link to the broker ${broker}.`);
  }

  /** A connection of this process's own, by which what the other side has passed on is said. */
  private async speakerAt({ name, link }: RelayBroker): Promise<DeviceTraffic> {
    const known = this.speakers.get(name);
    const speaker = known ?? new DeviceTraffic(link, { clientId: 'moving', log: this.settings.log });
    this.speakers.set(name, speaker);
    if (known === undefined) await untilConnected(speaker);
    return speaker;
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
}
