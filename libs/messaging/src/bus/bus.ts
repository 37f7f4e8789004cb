import type { ServiceName } from '@mqtt2go/access';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { OnApplicationShutdown } from '@nestjs/common';
import pRetry from 'p-retry';
import type { Logger } from 'pino';
import { firstValueFrom, timeout } from 'rxjs';
import type { z } from 'zod';
import type { BusMessage, Contract } from '../contracts/contract.js';
import type { BrokerLink } from '../links/broker-link.js';
import { currentOnboardingId } from '../logging/onboarding-context.js';
import { silent } from '../logging/silent.js';
import { currentTraceparent, traced } from '../tracing/tracing.js';
import { BusClient } from './bus-client.js';

export interface CallOptions {
  /** For the logs of the service that answers; the current one's by default. */
  readonly onboardingId?: string;
  /** For each attempt. */
  readonly timeoutMs?: number;
  /** Further attempts after `unavailable` or `timeout`; no other error is tried again. */
  readonly retries?: number;
}

/** The asking side of the service bus. */
export class Bus implements OnApplicationShutdown {
  private readonly client: BusClient;

  /** @param service who asks, for the audit log of who answers */
  constructor(
    link: BrokerLink,
    log: Logger = silent,
    private readonly service?: ServiceName,
  ) {
    this.client = new BusClient(link, log);
  }

  /**
   * Asks the service that answers `contract` and gives its checked answer.
   * @throws Mqtt2goError what the service threw; `unavailable` without a broker; `timeout` without an answer;
   * `malformed_message` when `input` is not what the contract takes; `internal` when the answer is not
   */
  async call<I extends z.ZodType, O extends z.ZodType>(
    contract: Contract<I, O>,
    input: z.input<I>,
    { onboardingId = currentOnboardingId(), timeoutMs = 5_000, retries = 3 }: CallOptions = {},
  ): Promise<z.output<O>> {
    const response = await traced(
      contract.pattern,
      () => {
        const message: BusMessage = {
          onboardingId,
          caller: this.service,
          traceparent: currentTraceparent(),
          body: input,
        };
        return pRetry(() => this.attempt(contract, message, timeoutMs), {
          retries,
          minTimeout: 200,
          maxTimeout: 2_000,
          factor: 2,
          randomize: true,
          shouldRetry: ({ error }) => error instanceof Mqtt2goError && isTransient(error),
        });
      },
      { kind: 'client' },
    );
    const output = contract.output.safeParse(response);
    if (!output.success) {
      throw new Mqtt2goError('internal', `${contract.pattern} answered in another form than agreed`, {
        cause: output.error,
      });
    }
    return output.data;
  }

  /** @throws Mqtt2goError `unavailable` while the broker cannot be reached */
  checkHealth(): void {
    this.client.checkConnected();
  }

  /** Ends the connection; calls in flight fail with `unavailable`. */
  async close(): Promise<void> {
    await this.client.close();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.close();
  }

  private attempt(contract: Contract, message: BusMessage, timeoutMs: number): Promise<unknown> {
    this.client.checkConnected();
    const late = (): never => {
      throw new Mqtt2goError('timeout', `${contract.pattern} did not answer within ${timeoutMs} ms`);
    };
    return firstValueFrom(
      this.client.send<unknown>(contract.pattern, message).pipe(timeout({ first: timeoutMs, with: late })),
    );
  }
}

function isTransient(error: Mqtt2goError): boolean {
  return error.code === 'unavailable' || error.code === 'timeout';
}
