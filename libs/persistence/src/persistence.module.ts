import { type DynamicModule, Inject, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { openDataSource, type PersistenceOptions } from './data-source.js';
import { Outbox } from './outbox/outbox.js';

/** Provides the service's DataSource (migrated) and its {@link Outbox} (not started) to the whole app. */
export class PersistenceModule implements OnApplicationShutdown {
  constructor(@Inject(DataSource) private readonly dataSource: DataSource) {}

  static forRoot(options: PersistenceOptions): DynamicModule {
    return {
      module: PersistenceModule,
      global: true,
      providers: [
        { provide: DataSource, useFactory: () => openDataSource(options) },
        {
          provide: Outbox,
          useFactory: (dataSource: DataSource) =>
            new Outbox(dataSource, { log: options.log, workers: workersOf(options) }),
          inject: [DataSource],
        },
      ],
      exports: [DataSource, Outbox],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.dataSource.destroy();
  }
}

/** Each holds a connection while its effects may need another. */
function workersOf({ poolSize = 10 }: PersistenceOptions): number {
  return Math.max(1, Math.min(2, poolSize - 1));
}
