import { BusModule } from '@mqtt2go/messaging';
import { PersistenceModule } from '@mqtt2go/persistence';
import { Clock } from '@mqtt2go/ports';
import { AuditModule } from '@mqtt2go/runtime';
import type { DynamicModule } from '@nestjs/common';
import type { Registry } from 'prom-client';
import { DoorCallers } from './door/door-callers.js';
import { DoorController } from './door/door.controller.js';
import { DoorVerbs } from './door/door-verbs.js';
import { entities } from './entities.js';
import { Gateways } from './gateways/gateways.js';
import { CloudLink } from './link/cloud-link.js';
import { HttpsCloudLink } from './link/https-cloud-link.js';
import { migrations } from './migrations/index.js';
import { DoorOfMoving } from './moving/door-of-moving.js';
import { linkSide } from './moving/link-side.js';
import { Mover, MoverSettings } from './moving/mover.js';
import { MovesRepository } from './moving/moves-repository.js';
import { MovingController } from './moving/moving.controller.js';
import { OwnSide } from './moving/own-side.js';
import { Relay, RelaySettings } from './moving/relay.js';
import { schema } from './schema.js';
import type { CloudSide, FederationDeps, GatewaySide } from './start-federation.js';

type Part = Pick<DynamicModule, 'controllers' | 'providers'>;

// biome-ignore lint/complexity/noStaticOnlyClass: the form of a Nest module
export class FederationModule {
  static forRoot(deps: FederationDeps, registry: Registry): DynamicModule {
    const { clock, log, databaseUrl, poolSize, busLink, encryptionKey, cloud, gateway } = deps;
    const parts = [cloud === undefined ? {} : cloudPart(cloud), gateway === undefined ? {} : gatewayPart(gateway, deps)];
    return {
      module: FederationModule,
      imports: [
        PersistenceModule.forRoot({
          url: databaseUrl,
          schema,
          entities,
          migrations,
          log,
          ...(poolSize === undefined ? {} : { poolSize }),
        }),
        BusModule.forRoot({ link: busLink, service: 'federation' }),
        AuditModule.forRoot({ schema, log, registry, encryptionKey }),
      ],
      controllers: [MovingController, ...parts.flatMap(({ controllers = [] }) => controllers)],
      providers: [
        { provide: Clock, useValue: clock },
        { provide: RelaySettings, useValue: new RelaySettings(deps.homeBrokers ?? [], log) },
        Relay,
        OwnSide,
        ...parts.flatMap(({ providers = [] }) => providers),
      ],
    };
  }
}

function cloudPart(_side: CloudSide): Part {
  return {
    controllers: [DoorController],
    providers: [DoorCallers, DoorVerbs, Gateways, DoorOfMoving],
  };
}

function gatewayPart({ identity }: GatewaySide, { log, onMoved, moverTimes }: FederationDeps): Part {
  const { cloudUrl: url, ca, cert, key } = identity;
  return {
    providers: [
      { provide: HttpsCloudLink, useFactory: () => new HttpsCloudLink({ url, ca, identity: { cert, key } }) },
      { provide: CloudLink, useExisting: HttpsCloudLink },
      {
        provide: MoverSettings,
        useFactory: (own: OwnSide, link: CloudLink) =>
          new MoverSettings(identity.homeId, own, linkSide(link), log, onMoved, moverTimes),
        inject: [OwnSide, CloudLink],
      },
      MovesRepository,
      Mover,
    ],
  };
}
