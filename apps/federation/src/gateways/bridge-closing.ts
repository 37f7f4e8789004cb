import { Bus, topicGenerator } from '@mqtt2go/messaging';
import { Outbox } from '@mqtt2go/persistence';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';

/** The outbox' kind of an effect whose payload is the input of topic-generator/close-bridge. */
export const closeBridge = 'close-bridge';

/** Has the home's broker close the door to a revoked gateway; tried again until the topic generator has answered. */
@Injectable()
export class BridgeClosing implements OnApplicationBootstrap {
  constructor(
    private readonly outbox: Outbox,
    private readonly bus: Bus,
  ) {}

  onApplicationBootstrap(): void {
    this.outbox.on(closeBridge, async (payload) => {
      const gateway = topicGenerator.closeBridge.input.parse(payload);
      await this.bus.call(topicGenerator.closeBridge, gateway, { retries: 0, timeoutMs: 2_000 });
    });
    this.outbox.start();
  }
}
