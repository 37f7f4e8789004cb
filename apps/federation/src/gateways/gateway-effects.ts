import { Bus, topicGenerator } from '@mqtt2go/messaging';
import { Outbox } from '@mqtt2go/persistence';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';

/** Kinds of the outbox; the payloads of the first and the last are the inputs of the topic generator's verbs of these names. */
export const placeHome = 'place-home';
export const trustGateway = 'trust-gateway';
export const closeBridge = 'close-bridge';

export const trustPayload = topicGenerator.trustGateway.input.extend({ enrolledAt: z.iso.datetime() });

/** The outbox tries again by itself. */
const once = { retries: 0, timeoutMs: 2_000 };

/** Has the home's broker act by what was stored of a gateway; tried again until the topic generator has answered. */
@Injectable()
export class GatewayEffects implements OnApplicationBootstrap {
  constructor(
    private readonly outbox: Outbox,
    private readonly bus: Bus,
    private readonly dataSource: DataSource,
  ) {}

  onApplicationBootstrap(): void {
    this.outbox.on(placeHome, async (payload) => {
      await this.bus.call(topicGenerator.placeHome, topicGenerator.placeHome.input.parse(payload), once);
    });
    this.outbox.on(trustGateway, (payload) => this.trust(trustPayload.parse(payload)));
    this.outbox.on(closeBridge, async (payload) => {
      await this.bus.call(topicGenerator.closeBridge, topicGenerator.closeBridge.input.parse(payload), once);
    });
    this.outbox.start();
  }

  /** Unless the gateway was turned away, or another has taken its place: held off until this is done, so that it comes later. */
  private async trust({ enrolledAt, ...gateway }: z.output<typeof trustPayload>): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const rows = await manager.query<unknown[]>(
        `SELECT 1 FROM federation.gateway
         WHERE home_id = $1 AND gateway_id = $2 AND enrolled_at = $3 AND revoked_at IS NULL FOR SHARE`,
        [gateway.homeId, gateway.gatewayId, new Date(enrolledAt)],
      );
      if (rows.length > 0) await this.bus.call(topicGenerator.trustGateway, gateway, once);
    });
  }
}
