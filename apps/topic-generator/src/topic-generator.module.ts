import { PersistenceModule } from '@mqtt2go/persistence';
import { SecretBox } from '@mqtt2go/pki';
import { BrokerAdmin, BrokerCopy, Clock } from '@mqtt2go/ports';
import type { DynamicModule } from '@nestjs/common';
import { HomeBrokerKeeper } from './access/home-broker-keeper.js';
import { HomePrincipals } from './access/home-principals.js';
import { ControllerSecrets } from './controllers/controller-secrets.js';
import { ControllerUrl } from './controllers/controller-url.js';
import { Controllers } from './controllers/controllers.js';
import { DeviceAccess } from './devices/device-access.js';
import { NewDevices } from './devices/new-devices.js';
import { entities } from './entities.js';
import { Homes } from './homes/homes.js';
import { migrations } from './migrations/index.js';
import { schema } from './schema.js';
import type { TopicGeneratorDeps } from './start-topic-generator.js';
import { TopicGeneratorController } from './topic-generator.controller.js';

// biome-ignore lint/complexity/noStaticOnlyClass: the form of a Nest module
export class TopicGeneratorModule {
  static forRoot(deps: TopicGeneratorDeps): DynamicModule {
    const { log, clock, databaseUrl, poolSize, brokerAdmin, controllerUrl, sharedBus = false } = deps;
    const { hasReplicas = sharedBus } = deps;
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
      ],
      controllers: [TopicGeneratorController],
      providers: [
        { provide: Clock, useValue: clock },
        { provide: BrokerAdmin, useValue: brokerAdmin },
        { provide: ControllerUrl, useValue: new ControllerUrl(controllerUrl) },
        {
          provide: BrokerCopy,
          useFactory: (admin: BrokerAdmin, principals: HomePrincipals) =>
            new BrokerCopy(admin, principals, { hasReplicas }),
          inject: [BrokerAdmin, HomePrincipals],
        },
        HomePrincipals,
        HomeBrokerKeeper,
        { provide: ControllerSecrets, useFactory: () => new ControllerSecrets(new SecretBox(deps.encryptionKey)) },
        Homes,
        NewDevices,
        DeviceAccess,
        Controllers,
      ],
    };
  }
}
