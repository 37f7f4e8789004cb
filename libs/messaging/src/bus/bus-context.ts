import { MqttContext } from '@nestjs/microservices';
import type { Logger } from 'pino';

/** What a bus handler gets besides its input. */
export class BusContext extends MqttContext {
  /** @param onboardingId the onboarding that the call is about, for the logs */
  constructor(
    topic: string,
    packet: Record<string, unknown>,
    readonly onboardingId: string | undefined,
    readonly log: Logger,
  ) {
    super([topic, packet]);
  }
}
