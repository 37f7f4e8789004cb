import type { ServiceName } from '@mqtt2go/access';
import type { DynamicModule } from '@nestjs/common';
import type { BrokerLink } from '../links/broker-link.js';
import { Bus } from './bus.js';

/** Provides {@link Bus} to the whole app. */
// biome-ignore lint/complexity/noStaticOnlyClass: the form of a Nest module
export class BusModule {
  static forRoot({ link }: { link: BrokerLink; service: ServiceName }): DynamicModule {
    return {
      module: BusModule,
      global: true,
      providers: [{ provide: Bus, useFactory: () => new Bus(link) }],
      exports: [Bus],
    };
  }
}
