import type { BrokerCopy } from '@mqtt2go/ports';
import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import pRetry from 'p-retry';
import type { Logger } from 'pino';
import type { Manufacturers } from '../manufacturers/manufacturers.js';

/**
 * Keeps the activation broker's copy: who may come, and whose certificates count. Told at the start too, for a
 * registration may have been stored by a process that ended before the broker heard of it.
 */
@Injectable()
export class ActivationBrokerKeeper implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly stopping = new AbortController();
  private letGo = async (): Promise<void> => undefined;
  private telling: Promise<void> = Promise.resolve();

  constructor(
    private readonly copy: BrokerCopy,
    private readonly manufacturers: Manufacturers,
    private readonly log: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.letGo = this.copy.keep(() => this.manufacturers.tellBroker());
    this.telling = this.tellAtStart();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await Promise.all([this.letGo(), this.telling]);
  }

  private async tellAtStart(): Promise<void> {
    const { signal } = this.stopping;
    try {
      await pRetry(() => this.manufacturers.tellBroker(), {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: 250,
        maxTimeout: 5_000,
        signal,
      });
    } catch (error) {
      if (!signal.aborted)
        this.log.error({ err: error }, 'the activation broker was not told whose certificates count');
    }
  }
}
