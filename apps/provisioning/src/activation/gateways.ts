import { Bus, topicGenerator } from '@mqtt2go/messaging';
import { whileAsked } from '../settings.js';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import type { z } from 'zod';
import { HomeStandings } from '../moving/home-standings.js';

const capacity = 10_000;
const rememberedMs = 30_000;

/** Which gateways there are, and on which broker; asked of the topic generator, and a yes remembered for a while. */
@Injectable()
export class Gateways {
  private readonly known = new Map<string, { readonly broker: string | undefined; readonly untilMs: number }>();

  constructor(
    private readonly bus: Bus,
    private readonly standings: HomeStandings,
  ) {}

  /**
   * The name of the home broker that the gateway is on, if it has one.
   * @throws Mqtt2goError `unknown_home`, `home_is_moving`, `home_has_moved`; `unavailable`, `timeout`
   */
  async check(homeId: string, gatewayId: string): Promise<string | undefined> {
    this.standings.requireChangeable(homeId);
    const key = `${homeId}/${gatewayId}`;
    const nowMs = performance.now();
    const known = this.known.get(key);
    if (known !== undefined && known.untilMs > nowMs) return known.broker;
    const { broker, isBridged } = await this.ask(homeId, gatewayId);
    if (isBridged !== true) this.remember(key, broker, nowMs);
    return broker;
  }

  /**
   * True if the gateway has its own platform in the house, which answers its home: what is said at the broker here is said there,
   * too, and two would answer. False when that cannot be told.
   */
  async isServedInHouse(homeId: string, gatewayId: string): Promise<boolean> {
    const known = this.known.get(`${homeId}/${gatewayId}`);
    if (known !== undefined && known.untilMs > performance.now()) return false;
    try {
      const { broker, isBridged = false } = await this.ask(homeId, gatewayId);
      if (!isBridged) this.remember(`${homeId}/${gatewayId}`, broker, performance.now());
      return isBridged;
    } catch (error) {
      if (error instanceof Mqtt2goError) return false;
      throw error;
    }
  }

  private remember(key: string, broker: string | undefined, nowMs: number): void {
    this.known.delete(key);
    this.known.set(key, { broker, untilMs: nowMs + rememberedMs });
    const [oldest] = this.known.keys();
    if (oldest !== undefined && this.known.size > capacity) this.known.delete(oldest);
  }

  private async ask(homeId: string, gatewayId: string): Promise<z.output<typeof topicGenerator.hasGateway.output>> {
    const answer = await this.bus.call(topicGenerator.hasGateway, { homeId, gatewayId }, whileAsked);
    if (!answer.exists) throw new Mqtt2goError('unknown_home');
    return answer;
  }
}
