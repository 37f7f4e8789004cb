import type { PrincipalKey } from '@mqtt2go/access';
import { BrokerCopy, type BrokerAdmin, type ChangedPrincipal } from '@mqtt2go/ports';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Homes } from '../homes/homes.js';

/** A home broker, one of several that homes are placed on. */
export interface HomeBroker {
  /** Homes are found on it by this name, for good. */
  readonly name: string;
  /** Its access; the caller's to close. */
  readonly admin: BrokerAdmin;
  /** Whether devices with certificates of a gateway's CA can come to it. */
  readonly trustsGateways: boolean;
  /** Whether it has to be told which gateways' CAs those are; not by default. */
  readonly keepsTrust?: boolean;
  /** What a new controller is told to connect to: `mqtts://…`. */
  readonly controllerUrl: string;
  /** The same for web apps: `wss://…`. */
  readonly controllerWebSocketUrl?: string | undefined;
}

/** What was committed, and whose brokers are to act by it. */
export interface AccessChange<T> {
  readonly answer: T;
  readonly principal: ChangedPrincipal;
  /** The principal's home; undefined when nothing tells any more which it was: then every broker is told. */
  readonly homeId: string | undefined;
  /** A home that the principal was in until now; its broker may not be there, and is told when it is. */
  readonly formerHomeId?: string | undefined;
}

export interface HomeBrokersOptions {
  /** One at least. */
  readonly brokers: readonly HomeBroker[];
  readonly homes: Homes;
  /** The copy on one of the brokers: of the principals whose homes are on it. */
  readonly copyOf: (broker: HomeBroker) => BrokerCopy;
  readonly log: Logger;
}

interface Shard {
  readonly broker: HomeBroker;
  readonly copy: BrokerCopy;
  /** What the broker is to be told once it is there again. */
  readonly owed: Map<string, PrincipalKey>;
}

const owedIntervalMs = 1_000;
/** As many as a broker is told of at a time. */
const keysPerCall = 500;

/**
 * The home brokers, each with its copy of who may come to it. A home's principals are on its broker only, and nothing
 * that is done for them waits for another broker.
 */
export class HomeBrokers implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly shards: readonly Shard[];
  private readonly ends: (() => Promise<void>)[] = [];
  private paying: Promise<void> | undefined;

  constructor(private readonly options: HomeBrokersOptions) {
    this.shards = options.brokers.map((broker) => ({ broker, copy: options.copyOf(broker), owed: new Map() }));
  }

  /** @throws Mqtt2goError `configuration_invalid` when homes are on a broker that there is not */
  async onApplicationBootstrap(): Promise<void> {
    await this.options.homes.placeAll();
    for (const { copy } of this.shards) this.ends.push(copy.keep());
    const timer = setInterval(() => this.payOwed(), owedIntervalMs);
    this.ends.push(async () => clearInterval(timer));
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all(this.ends.splice(0).map((end) => end()));
    await this.paying;
  }

  /** @throws Mqtt2goError `unknown_home` */
  async of(homeId: string): Promise<HomeBroker> {
    return (await this.shardOf(homeId)).broker;
  }

  /** Whether a home's devices with certificates of a gateway can come to its broker, or to any if it is on none. */
  trustsGateways(broker: string | undefined): boolean {
    const eligible = this.shards.filter(({ broker: { name } }) => broker === undefined || name === broker);
    return eligible.some(({ broker: { trustsGateways } }) => trustsGateways);
  }

  /**
   * Changes one principal in the database and makes the brokers concerned act by it.
   * @param work commits; rejects if there is nothing to tell
   * @throws what `work` throws; Mqtt2goError `unavailable` when the home's broker does not confirm in time; safe to repeat
   */
  async change<T>(key: PrincipalKey, work: () => Promise<AccessChange<T>>): Promise<T> {
    const [only, ...others] = this.shards;
    if (only !== undefined && others.length === 0) return only.copy.change(key, work);
    const { answer, principal, homeId, formerHomeId } = await work();
    if (principal === 'unchanged') return answer;
    const concerned = homeId === undefined ? this.shards : [await this.shardOf(homeId)];
    if (formerHomeId !== undefined) {
      const former = await this.shardOf(formerHomeId);
      if (!concerned.includes(former)) await this.tellOrOwe(former, [key]);
    }
    await Promise.all(concerned.map((shard) => this.tell(shard, [key])));
    return answer;
  }

  /** Makes the home's broker act by what is committed for `keys`. Same errors as {@link change}. */
  async sync(homeId: string, keys: readonly PrincipalKey[]): Promise<void> {
    if (keys.length === 0) return;
    const shard = await this.shardOf(homeId);
    for (let at = 0; at < keys.length; at += keysPerCall) await this.tell(shard, keys.slice(at, at + keysPerCall));
  }

  private async shardOf(homeId: string): Promise<Shard> {
    const name = await this.options.homes.brokerOf(homeId);
    const shard = this.shards.find(({ broker }) => broker.name === name);
    if (shard === undefined) throw new Error(`the home ${homeId} is on ${name}, which is no home broker`);
    return shard;
  }

  /**
   * Where there are several, one that is not there is not waited for: requests for its homes would come to fill all that
   * are worked on at a time.
   */
  private async tell({ broker, copy }: Shard, keys: readonly PrincipalKey[]): Promise<void> {
    if (this.shards.length > 1) broker.admin.checkHealth();
    await copy.sync(keys);
  }

  private async tellOrOwe(shard: Shard, keys: readonly PrincipalKey[]): Promise<void> {
    try {
      await this.tell(shard, keys);
    } catch (error) {
      const { name } = shard.broker;
      this.options.log.warn(
        { err: error, broker: name },
        'a home broker is not there; it is told later who has left it',
      );
      // Lost with this process; but the copy is made anew when the broker is first met by another one.
      for (const key of keys) shard.owed.set(`${key.kind}/${key.id}`, key);
    }
  }

  private payOwed(): void {
    this.paying ??= Promise.all(this.shards.map((shard) => this.payOwedTo(shard)))
      .then(() => undefined)
      .finally(() => {
        this.paying = undefined;
      });
  }

  private async payOwedTo(shard: Shard): Promise<void> {
    const owed = [...shard.owed];
    if (owed.length === 0) return;
    try {
      await this.tell(
        shard,
        owed.map(([, key]) => key),
      );
      for (const [name] of owed) shard.owed.delete(name);
    } catch {
      // Still away.
    }
  }
}
