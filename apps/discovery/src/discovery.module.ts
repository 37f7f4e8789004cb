import { AuditRefusals } from '@mqtt2go/audit';
import { Bus, BusModule, DeviceTraffic } from '@mqtt2go/messaging';
import { PersistenceModule, ProcessLocks } from '@mqtt2go/persistence';
import { SecretBox } from '@mqtt2go/pki';
import { BrokerAdmin, BrokerCopy, Clock } from '@mqtt2go/ports';
import { AuditModule, measureAccess } from '@mqtt2go/runtime';
import type { DynamicModule } from '@nestjs/common';
import { Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { ActivateDeviceController } from './activation/activate-device.controller.js';
import { AnnouncementsController } from './activation/announcements.controller.js';
import { ActivationBrokerKeeper } from './activation/activation-broker-keeper.js';
import { ActivationPrincipals } from './activation/activation-principals.js';
import { ExpirySweep } from './activation/expiry-sweep.js';
import { WaitingActivations } from './activation/waiting-activations.js';
import { ActivationMetrics } from './claiming/activation-metrics.js';
import { ActivationTraffic } from './claiming/activation-traffic.js';
import { BrokerDataDesk } from './claiming/broker-data.js';
import { entities } from './entities.js';
import { Manufacturers } from './manufacturers/manufacturers.js';
import { ManufacturersController } from './manufacturers/manufacturers.controller.js';
import { migrations } from './migrations/index.js';
import { RelocationSecrets } from './relocation/relocation-secrets.js';
import { Relocations } from './relocation/relocations.js';
import { RelocationsController } from './relocation/relocations.controller.js';
import { schema } from './schema.js';
import type { DiscoveryDeps } from './start-discovery.js';

const defaultSweepIntervalMs = 5_000;

// biome-ignore lint/complexity/noStaticOnlyClass: the form of a Nest module
export class DiscoveryModule {
  static forRoot(deps: DiscoveryDeps, registry: Registry): DynamicModule {
    const {
      clock,
      brokerAdmin,
      busLink,
      activationLink,
      plugins,
      poolSize,
      sweepIntervalMs = defaultSweepIntervalMs,
      sharedBus = false,
      hasReplicas = sharedBus,
    } = deps;
    const log = deps.log.child({ service: 'discovery' });
    const locksOf = (dataSource: DataSource): ProcessLocks | undefined =>
      hasReplicas ? new ProcessLocks(dataSource, { namespace: schema }) : undefined;
    const confirmed = measureAccess(registry, [{ name: 'activation', repairs: () => brokerAdmin.repairs() }]);
    return {
      module: DiscoveryModule,
      imports: [
        PersistenceModule.forRoot({
          url: deps.databaseUrl,
          schema,
          entities,
          migrations,
          log,
          ...(poolSize === undefined ? {} : { poolSize }),
        }),
        BusModule.forRoot({ link: busLink, service: 'discovery' }),
        AuditModule.forRoot({ schema, log, registry, encryptionKey: deps.encryptionKey }),
      ],
      controllers: [
        ManufacturersController,
        RelocationsController,
        deps.rest === undefined ? AnnouncementsController : ActivateDeviceController,
      ],
      providers: [
        { provide: Clock, useValue: clock },
        { provide: BrokerAdmin, useValue: brokerAdmin },
        { provide: Registry, useValue: registry },
        { provide: SecretBox, useFactory: () => new SecretBox(deps.encryptionKey) },
        {
          provide: BrokerCopy,
          useFactory: (admin: BrokerAdmin, principals: ActivationPrincipals, dataSource: DataSource) => {
            const onConfirmed = (durationMs: number) => confirmed('activation', durationMs);
            return new BrokerCopy(admin, principals, { locks: locksOf(dataSource), onConfirmed });
          },
          inject: [BrokerAdmin, ActivationPrincipals, DataSource],
        },
        {
          provide: ActivationBrokerKeeper,
          useFactory: (copy: BrokerCopy, manufacturers: Manufacturers) =>
            new ActivationBrokerKeeper(copy, manufacturers, log),
          inject: [BrokerCopy, Manufacturers],
        },
        {
          provide: ExpirySweep,
          useFactory: (waiting: WaitingActivations, relocations: Relocations) =>
            new ExpirySweep({ waiting, relocations }, clock, log, sweepIntervalMs),
          inject: [WaitingActivations, Relocations],
        },
        {
          provide: ActivationTraffic,
          useFactory: (
            waiting: WaitingActivations,
            desk: BrokerDataDesk,
            metrics: ActivationMetrics,
            audit: AuditRefusals,
            relocations: Relocations,
          ) =>
            new ActivationTraffic({
              traffic: new DeviceTraffic(activationLink, {
                clientId: 'activation',
                log,
                sharing: deps.activationSharing,
              }),
              revisions: plugins.revisions,
              waiting,
              desk,
              isGateway: deps.rest === undefined,
              metrics,
              audit,
              relocations,
              clock,
              log,
            }),
          inject: [WaitingActivations, BrokerDataDesk, ActivationMetrics, AuditRefusals, Relocations, Bus],
        },
        ActivationMetrics,
        ActivationPrincipals,
        BrokerDataDesk,
        {
          provide: Manufacturers,
          useFactory: (dataSource: DataSource, admin: BrokerAdmin) =>
            new Manufacturers(dataSource, admin, clock, locksOf(dataSource)),
          inject: [DataSource, BrokerAdmin],
        },
        WaitingActivations,
        Relocations,
        {
          provide: RelocationSecrets,
          useFactory: (box: SecretBox) => new RelocationSecrets(deps.encryptionKey, box),
          inject: [SecretBox],
        },
      ],
    };
  }
}
