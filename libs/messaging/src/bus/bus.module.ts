import type { ServiceName } from '@mqtt2go/access';
import type { DynamicModule } from '@nestjs/common';
import type { Logger } from 'pino';
import type { BrokerLink } from '../links/broker-link.js';
import { Bus } from './bus.js';

export interface BusModuleOptions {
  readonly link: BrokerLink;
  /** Who asks. */
  readonly service: ServiceName;
  readonly log?: Logger;
}

/** Provides {@link Bus} to the whole app. */
// biome-ignore lint/complexity/noStaticOnlyClass: the form of a Nest module
export class BusModule {
  static forRoot({ link, service, log }: BusModuleOptions): DynamicModule {
    return {
      module: BusModule,
      global: true,
      providers: [{ provide: Bus, useFactory: () => new Bus(link, log, service) }],
      exports: [Bus],
    };
  }
}
