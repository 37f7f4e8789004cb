import { PersistenceModule, ProcessLocks } from '@mqtt2go/persistence';
import { SecretBox } from '@mqtt2go/pki';
import { BrokerCopy, Clock } from '@mqtt2go/ports';
import { AuditModule, measureAccess } from '@mqtt2go/runtime';
import type { DynamicModule } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { Registry } from 'prom-client';
import { GatewayTrust } from './access/gateway-trust.js';
import { type HomeBroker, HomeBrokers } from './access/home-brokers.js';
import { HomePrincipals } from './access/home-principals.js';
import { ControllerSecrets } from './controllers/controller-secrets.js';
import { Controllers } from './controllers/controllers.js';
import { DeviceAccess } from './devices/device-access.js';
import { NewDevices } from './devices/new-devices.js';
import { entities } from './entities.js';
import { Homes } from './homes/homes.js';
import { migrations } from './migrations/index.js';
import { HomeMoves } from './moving/home-moves.js';
import { HomePages } from './moving/home-pages.js';
import { MovingController } from './moving/moving.controller.js';
import { schema } from './schema.js';
import type { TopicGeneratorDeps } from './start-topic-generator.js';
import { TopicGeneratorController } from './topic-generator.controller.js';

// biome-ignore lint/complexity/noStaticOnlyClass: the form of a Nest module
export class TopicGeneratorModule {
  static forRoot(deps: TopicGeneratorDeps, registry: Registry): DynamicModule {
    const { log, clock, databaseUrl, poolSize, homeBrokers, sharedBus = false } = deps;
    const { hasReplicas = sharedBus } = deps;
    const confirmed = measureAccess(
      registry,
      homeBrokers.map(({ name, admin }) => ({ name, repairs: () => admin.repairs() })),
    );
    return {
      module: TopicGeneratorModule,
      imports: [
        PersistenceModule.forRoot({
          url: databaseUrl,
          schema,
          entities,
          migrations,
          log,
          ...(poolSize === undefined ? {} : { poolSize }),
        }),
        AuditModule.forRoot({ schema, log, registry, encryptionKey: deps.encryptionKey }),
      ],
      controllers: [TopicGeneratorController, MovingController],
      providers: [
        { provide: Clock, useValue: clock },
        {
          provide: HomeBrokers,
          useFactory: (dataSource: DataSource, secrets: ControllerSecrets, homes: Homes) =>
            new HomeBrokers({
              brokers: homeBrokers,
              homes,
              log: log.child({ service: 'topic-generator' }),
              copyOf: ({ name, admin }) =>
                new BrokerCopy(
                  admin,
                  new HomePrincipals(dataSource, secrets, { broker: name, isFirst: name === homeBrokers[0]?.name }),
                  {
                    onConfirmed: (durationMs) => confirmed(name, durationMs),
                    locks: hasReplicas ? new ProcessLocks(dataSource, { namespace: `${schema}/${name}` }) : undefined,
                  },
                ),
            }),
          inject: [DataSource, ControllerSecrets, Homes],
        },
        {
          provide: Homes,
          useFactory: (dataSource: DataSource) =>
            new Homes(dataSource, {
              brokers: homeBrokers.map(({ name }) => name),
              reachable: () => homeBrokers.filter(isReachable).map(({ name }) => name),
              trustGateways: homeBrokers.filter(({ trustsGateways }) => trustsGateways).map(({ name }) => name),
            }),
          inject: [DataSource],
        },
        {
          provide: GatewayTrust,
          useFactory: (dataSource: DataSource, brokers: HomeBrokers) =>
            new GatewayTrust(dataSource, brokers, {
              brokers: homeBrokers,
              locks: hasReplicas ? new ProcessLocks(dataSource, { namespace: `${schema}/gateways` }) : undefined,
              log: log.child({ service: 'topic-generator' }),
            }),
          inject: [DataSource, HomeBrokers],
        },
        { provide: ControllerSecrets, useFactory: () => new ControllerSecrets(new SecretBox(deps.encryptionKey)) },
        NewDevices,
        DeviceAccess,
        Controllers,
        HomeMoves,
        HomePages,
      ],
    };
  }
}

function isReachable({ admin }: HomeBroker): boolean {
  try {
    admin.checkHealth();
    return true;
  } catch {
    return false;
  }
}
