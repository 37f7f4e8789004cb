import type { BrokerLink } from '@mqtt2go/messaging';
import type { Clock } from '@mqtt2go/ports';
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
  readonly clock: Clock;
  readonly log: Logger;
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
    const { homeLink, log, ...rest } = this.options;
    if (homeLink === undefined) return;
    const queue = await BridgeQueue.open(this.dataSource, log);
    this.bridge = new Bridge({ ...rest, homeLink, log, queue, link: this.link });
    await this.bridge.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.bridge?.stop();
  }

  /** Undefined when the bridge is switched off. */
  state(): BridgeState | undefined {
    return this.bridge?.state();
  }
}

/** Registered on every platform: where there is no bridge they are 0. */
export function measureBridge(registry: Registry, state: () => BridgeState | undefined): void {
  const gauge = (name: string, help: string, read: (now: BridgeState) => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        const now = state();
        this.set(now === undefined ? 0 : read(now));
      },
    });
  };
  gauge('mqtt2go_bridge_connected', '1 while the house and the cloud are joined.', (now) => Number(now.connected));
  gauge('mqtt2go_bridge_queued_messages', 'Messages of the house that wait for the cloud.', (now) => now.queued);
  gauge('mqtt2go_bridge_dropped_total', 'Messages given up because too many waited.', (now) => now.dropped);
}
