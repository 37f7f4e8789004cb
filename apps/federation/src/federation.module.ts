import { Bus, BusModule } from '@mqtt2go/messaging';
import { PersistenceModule } from '@mqtt2go/persistence';
import { Clock } from '@mqtt2go/ports';
import { AuditModule } from '@mqtt2go/runtime';
import type { DynamicModule } from '@nestjs/common';
import type { Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { BridgeKeeper, measureBridge } from './bridge/bridge-keeper.js';
import { EnrolAttempts } from './door/attempts.js';
import { DoorCallers } from './door/door-callers.js';
import { DoorController } from './door/door.controller.js';
import { DoorVerbs } from './door/door-verbs.js';
import { entities } from './entities.js';
import { CloudAddress } from './gateways/cloud-address.js';
import { Enrolling } from './gateways/enrolling.js';
import { GatewayEffects } from './gateways/gateway-effects.js';
import { GatewayVerbs } from './gateways/gateway-verbs.js';
import { Gateways } from './gateways/gateways.js';
import { GatewaysController } from './gateways/gateways.controller.js';
import { Keeper } from './keeping/keeper.js';
import { ManufacturerKeeping } from './keeping/manufacturer-keeping.js';
import { Renewal } from './keeping/renewal.js';
import { CloudLink } from './link/cloud-link.js';
import { HttpsCloudLink } from './link/https-cloud-link.js';
import { LinkController, NoLinkController } from './link/link.controller.js';
import { LinkIdentity } from './link/link-identity.js';
import { migrations } from './migrations/index.js';
import { DoorOfMoving } from './moving/door-of-moving.js';
import { KeptHomes } from './moving/kept-homes.js';
import { KeptMessages } from './moving/kept-messages.js';
import { LeaseSettings, Leases } from './moving/leases.js';
import { linkSide } from './moving/link-side.js';
import { Mover } from './moving/mover.js';
import { MoverSettings } from './moving/mover-settings.js';
import { MovesRepository } from './moving/moves-repository.js';
import { MovingController } from './moving/moving.controller.js';
import { OwnSide } from './moving/own-side.js';
import { Relay } from './moving/relay.js';
import { RelaySettings } from './moving/relay-settings.js';
import { Relocations } from './moving/relocations.js';
import { HomeMovesController } from './rest/home-moves.controller.js';
import { schema } from './schema.js';
import type { CloudSide, FederationDeps, GatewaySide } from './start-federation.js';

type Part = Pick<DynamicModule, 'controllers' | 'providers'>;

// biome-ignore lint/complexity/noStaticOnlyClass: the form of a Nest module
export class FederationModule {
  static forRoot(deps: FederationDeps, registry: Registry): DynamicModule {
    const serviceLog = deps.log.child({ service: 'federation' });
    const { clock, log, databaseUrl, poolSize, busLink, encryptionKey, cloud, gateway, rest } = deps;
    let bridge: BridgeKeeper | undefined;
    measureBridge(registry, () => bridge?.state());
    const parts = [
      cloud === undefined ? {} : cloudPart(cloud),
      gateway === undefined
        ? { controllers: [NoLinkController] }
        : gatewayPart(gateway, { ...deps, log: serviceLog }, (keeper) => {
            bridge = keeper;
          }),
    ];
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
      controllers: [
        MovingController,
        ...(rest === undefined ? [] : [HomeMovesController]),
        ...parts.flatMap(({ controllers = [] }) => controllers),
      ],
      providers: [
        { provide: Clock, useValue: clock },
        { provide: RelaySettings, useValue: new RelaySettings(deps.homeBrokers ?? [], log) },
        { provide: LeaseSettings, useValue: new LeaseSettings(deps.replica ?? 'federation') },
        Leases,
        KeptHomes,
        KeptMessages,
        Relay,
        OwnSide,
        ...parts.flatMap(({ providers = [] }) => providers),
      ],
    };
  }
}

function cloudPart({ url, ca }: CloudSide): Part {
  return {
    controllers: [DoorController, GatewaysController],
    providers: [
      { provide: CloudAddress, useFactory: () => new CloudAddress(url, ca) },
      DoorCallers,
      DoorVerbs,
      DoorOfMoving,
      EnrolAttempts,
      Enrolling,
      GatewayEffects,
      Gateways,
      GatewayVerbs,
    ],
  };
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

function gatewayPart(side: GatewaySide, deps: FederationDeps, opened: (keeper: BridgeKeeper) => void): Part {
  const { log, clock, onMoved, moverTimes } = deps;
  const { identity, homeLink, bridgeBackoffMs, manufacturersIntervalMs = minuteMs } = side;
  const { homeId, gatewayId, cloudUrl: url, ca, cert, key } = identity;
  return {
    controllers: [LinkController],
    providers: [
      { provide: HttpsCloudLink, useFactory: () => new HttpsCloudLink({ url, ca, identity: { cert, key } }, clock) },
      { provide: CloudLink, useExisting: HttpsCloudLink },
      { provide: LinkIdentity, useFactory: () => new LinkIdentity(homeId, gatewayId, url) },
      {
        provide: BridgeKeeper,
        useFactory: (dataSource: DataSource, link: CloudLink) => {
          const backoff = bridgeBackoffMs && { backoffMs: bridgeBackoffMs };
          const keeper = new BridgeKeeper(dataSource, link, { homeId, ca, homeLink, clock, log, ...backoff });
          opened(keeper);
          return keeper;
        },
        inject: [DataSource, CloudLink],
      },
      {
        provide: Keeper,
        useFactory: (link: HttpsCloudLink, bus: Bus, relocations: Relocations, { times }: MoverSettings) => {
          const manufacturers = new ManufacturerKeeping(link, bus, log);
          const renewal = new Renewal(link, bus, clock, log);
          return new Keeper(
            [
              { name: 'manufacturers', intervalMs: manufacturersIntervalMs, work: () => manufacturers.refresh() },
              { name: 'renewal', intervalMs: hourMs, work: () => renewal.refresh() },
              { name: 'latecomers', intervalMs: times.latecomersMs, work: () => relocations.refresh() },
            ],
            log,
          );
        },
        inject: [HttpsCloudLink, Bus, Relocations, MoverSettings],
      },
      {
        provide: MoverSettings,
        useFactory: (own: OwnSide, link: CloudLink) =>
          new MoverSettings(homeId, own, linkSide(link), log, onMoved, moverTimes),
        inject: [OwnSide, CloudLink],
      },
      MovesRepository,
      Relocations,
      Mover,
    ],
  };
}
