import { Bus, topicGenerator } from '@mqtt2go/messaging';
import { Outbox } from '@mqtt2go/persistence';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';

/** The outbox' kind of an effect whose payload is the input of topic-generator/revoke-access. */
export const withdrawAccess = 'withdraw-access';

/** The outbox tries again by itself; a call that waits for longer would hold up the end of the process. */
const oneShortCall = { retries: 0, timeoutMs: 2_000 };

/** Has the brokers turn away what was revoked; tried again until the topic generator has answered. */
@Injectable()
export class AccessWithdrawal implements OnApplicationBootstrap {
  constructor(
    private readonly outbox: Outbox,
    private readonly bus: Bus,
  ) {}

  onApplicationBootstrap(): void {
    this.outbox.on(withdrawAccess, async (payload) => {
      await this.bus.call(topicGenerator.revokeAccess, topicGenerator.revokeAccess.input.parse(payload), oneShortCall);
    });
    this.outbox.start();
  }
}
