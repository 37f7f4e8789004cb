import type { BrokerLink } from '@mqtt2go/messaging';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import { Gauge, type Registry } from 'prom-client';
import type { DataSource } from 'typeorm';
import type { CloudLink } from '../link/cloud-link.js';
import { Bridge, type BridgeOptions, type BridgeState } from './bridge.js';
import { BridgeQueue } from './bridge-queue.js';

export interface BridgeKeeperOptions {
  readonly homeId: string;
  readonly ca: string;
  /** Undefined when the bridge is switched off. */
  readonly homeLink: BrokerLink | undefined;
  readonly backoffMs?: BridgeOptions['backoffMs'];
  readonly log: Logger;
  readonly registry: Registry;
}

/** Runs the bridge while the service runs, and tells how it is. */
export class BridgeKeeper implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private bridge: Bridge | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly link: CloudLink,
    private readonly options: BridgeKeeperOptions,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { homeLink, registry, log, ...rest } = this.options;
    if (homeLink === undefined) return;
    const queue = await BridgeQueue.open(this.dataSource, log);
    this.bridge = new Bridge({ ...rest, homeLink, log, queue, link: this.link });
    this.measure(registry);
    await this.bridge.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.bridge?.stop();
  }

  /** Undefined when the bridge is switched off. */
  state(): BridgeState | undefined {
    return this.bridge?.state();
  }

  private measure(registry: Registry): void {
    const gauge = (name: string, help: string, read: (state: BridgeState) => number): void => {
      const state = (): BridgeState | undefined => this.state();
      new Gauge({
        name,
        help,
        registers: [registry],
        collect() {
          const now = state();
          if (now !== undefined) this.set(read(now));
        },
      });
    };
    gauge('mqtt2go_bridge_connected', '1 while the house and the cloud are joined.', (state) =>
      Number(state.connected),
    );
    gauge('mqtt2go_bridge_queued', 'Messages of the house that wait for the cloud.', (state) => state.queued);
    gauge('mqtt2go_bridge_dropped_total', 'Messages given up because too many waited.', (state) => state.dropped);
  }
}
