import { AuditChain, AuditRefusals, sealKeyOf } from '@mqtt2go/audit';
import type { BeforeApplicationShutdown, DynamicModule, OnApplicationBootstrap } from '@nestjs/common';
import { Inject } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { DataSource } from 'typeorm';

export interface AuditModuleOptions {
  readonly schema: string;
  readonly log: Logger;
  readonly registry: Registry;
  /** The platform's key-encryption key, in a service that has it: the chain's ends are sealed with it. */
  readonly encryptionKey?: Uint8Array | string | undefined;
}

/** Provides {@link AuditRefusals} to the whole app, and runs the {@link AuditChain} while it runs. */
export class AuditModule implements OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(
    @Inject(AuditChain) private readonly chain: AuditChain,
    @Inject(AuditRefusals) private readonly refusals: AuditRefusals,
  ) {}

  static forRoot({ schema, log, registry, encryptionKey }: AuditModuleOptions): DynamicModule {
    const sealKey = encryptionKey === undefined ? undefined : sealKeyOf(encryptionKey);
    return {
      module: AuditModule,
      global: true,
      providers: [
        {
          provide: AuditChain,
          useFactory: (dataSource: DataSource) =>
            new AuditChain(dataSource, { schema, log, registry, ...(sealKey === undefined ? {} : { sealKey }) }),
          inject: [DataSource],
        },
        {
          provide: AuditRefusals,
          useFactory: (dataSource: DataSource) => new AuditRefusals(dataSource, { schema, log }),
          inject: [DataSource],
        },
      ],
      exports: [AuditRefusals],
    };
  }

  onApplicationBootstrap(): void {
    this.chain.start();
    this.refusals.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.refusals.stop();
    await this.chain.stop();
  }
}
