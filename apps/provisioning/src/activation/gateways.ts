import { Bus, topicGenerator } from '@mqtt2go/messaging';
import { whileAsked } from '../settings.js';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { HomeStandings } from '../moving/home-standings.js';

const capacity = 10_000;
const rememberedMs = 5 * 60_000;

/** Which gateways there are, and on which broker; asked of the topic generator, and a yes remembered for some minutes. */
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
    const { exists, broker } = await this.bus.call(topicGenerator.hasGateway, { homeId, gatewayId }, whileAsked);
    if (!exists) throw new Mqtt2goError('unknown_home');
    this.known.delete(key);
    this.known.set(key, { broker, untilMs: nowMs + rememberedMs });
    const [oldest] = this.known.keys();
    if (oldest !== undefined && this.known.size > capacity) this.known.delete(oldest);
    return broker;
  }
}
