import { Bus, topicGenerator } from '@mqtt2go/messaging';
import { whileAsked } from '../settings.js';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';

const capacity = 10_000;
const rememberedMs = 5 * 60_000;

/** Which gateways there are; asked of the topic generator, and a yes remembered for some minutes. */
@Injectable()
export class Gateways {
  private readonly knownUntil = new Map<string, number>();

  constructor(private readonly bus: Bus) {}

  /** @throws Mqtt2goError `unknown_home`; `unavailable`, `timeout` */
  async check(homeId: string, gatewayId: string): Promise<void> {
    const key = `${homeId}/${gatewayId}`;
    const nowMs = performance.now();
    if ((this.knownUntil.get(key) ?? 0) > nowMs) return;
    const { exists } = await this.bus.call(topicGenerator.hasGateway, { homeId, gatewayId }, whileAsked);
    if (!exists) throw new Mqtt2goError('unknown_home');
    this.knownUntil.delete(key);
    this.knownUntil.set(key, nowMs + rememberedMs);
    const [oldest] = this.knownUntil.keys();
    if (oldest !== undefined && this.knownUntil.size > capacity) this.knownUntil.delete(oldest);
  }
}
