import { Bus, BusModule } from '@mqtt2go/messaging';
import { PersistenceModule } from '@mqtt2go/persistence';
import { SecretBox } from '@mqtt2go/pki';
import { RevisionRegistry } from '@mqtt2go/plugin-api';
import { Clock } from '@mqtt2go/ports';
import { AuditModule } from '@mqtt2go/runtime';
import type { DynamicModule } from '@nestjs/common';
import type { Registry } from 'prom-client';
import { Activation } from './activation/activation.js';
import { Gateways } from './activation/gateways.js';
import { GuessGuard } from './activation/guess-guard.js';
import { Announcer } from './announcing/announcer.js';
import { Announcing } from './announcing/announcing.js';
import { BusAnnouncer } from './announcing/bus-announcer.js';
import { Certifying } from './certifying/certifying.js';
import { Claiming } from './claiming/claiming.js';
import { entities } from './entities.js';
import { ActivationCodes } from './factory/activation-codes.js';
import { FactoryController } from './factory/factory.controller.js';
import { FactoryRegistry } from './factory/factory-registry.js';
import { migrations } from './migrations/index.js';
import { HomeOnboardings } from './moving/home-onboardings.js';
import { HomeStandings } from './moving/home-standings.js';
import { MovingController } from './moving/moving.controller.js';
import { Redirecting } from './moving/redirecting.js';
import { Naming } from './naming/naming.js';
import { Networks } from './network/networks.js';
import { Expiry } from './onboarding/expiry.js';
import { OnboardingController } from './onboarding/onboarding.controller.js';
import { OnboardingDriver } from './onboarding/onboarding-driver.js';
import { OnboardingEffects } from './onboarding/onboarding-effects.js';
import { OnboardingMetrics } from './onboarding/onboarding-metrics.js';
import { OnboardingRepository } from './onboarding/onboarding-repository.js';
import { Onboardings } from './onboarding/onboardings.js';
import { Recovery } from './onboarding/recovery.js';
import { ProvisioningRuntime } from './provisioning-runtime.js';
import { RenewalDesk } from './renewal/renewal-desk.js';
import { schema } from './schema.js';
import { ProvisioningSettings } from './settings.js';
import type { ProvisioningDeps } from './start-provisioning.js';
import { DeviceTopicsDesk } from './topics/device-topics.js';
import { HomeBrokers } from './traffic/home-brokers.js';
import { HomeDesks } from './traffic/home-desks.js';
import { HomeReplies } from './traffic/home-replies.js';
import { HomeTraffic } from './traffic/home-traffic.js';
import { Refusals } from './traffic/refusals.js';
import { HomeWifi } from './wifi/home-wifi.js';
import { WifiController } from './wifi/wifi.controller.js';

// biome-ignore lint/complexity/noStaticOnlyClass: the form of a Nest module
export class ProvisioningModule {
  static forRoot(deps: ProvisioningDeps, registry: Registry): DynamicModule {
    const { log, databaseUrl, poolSize, busLink } = deps;
    return {
      module: ProvisioningModule,
      imports: [
        PersistenceModule.forRoot({
          url: databaseUrl,
          schema,
          entities,
          migrations,
          log,
          ...(poolSize === undefined ? {} : { poolSize }),
        }),
        BusModule.forRoot({ link: busLink, service: 'provisioning', log }),
        AuditModule.forRoot({ schema, log, registry, encryptionKey: deps.encryptionKey }),
      ],
      controllers: [FactoryController, OnboardingController, MovingController, WifiController],
      providers: [
        { provide: Clock, useValue: deps.clock },
        { provide: RevisionRegistry, useValue: deps.plugins.revisions },
        { provide: SecretBox, useFactory: () => new SecretBox(deps.encryptionKey) },
        { provide: ActivationCodes, useValue: new ActivationCodes(deps.encryptionKey) },
        {
          provide: ProvisioningSettings,
          useValue: new ProvisioningSettings(log, deps.onPersisted ?? (() => undefined)),
        },
        { provide: HomeBrokers, useFactory: () => new HomeBrokers(deps.homeBrokers, log) },
        {
          provide: Announcer,
          useFactory: async (bus: Bus) => {
            if (deps.discovery === undefined) return new BusAnnouncer(bus);
            const { DiscoveryClient } = await import('./announcing/discovery-client.js');
            return new DiscoveryClient(deps.discovery, deps.clock);
          },
          inject: [Bus],
        },
        { provide: GuessGuard, useFactory: () => new GuessGuard() },
        {
          provide: OnboardingMetrics,
          useFactory: (repository: OnboardingRepository) => {
            const metrics = new OnboardingMetrics(registry);
            metrics.countOpenBy(registry, () => repository.countOpen());
            return metrics;
          },
          inject: [OnboardingRepository],
        },
        {
          provide: Networks,
          useFactory: (repository: OnboardingRepository, replies: HomeReplies) =>
            new Networks({
              access: deps.network,
              find: (onboardingId) => repository.find(onboardingId),
              send: (all) => replies.send(all),
              clock: deps.clock,
              log,
            }),
          inject: [OnboardingRepository, HomeReplies],
        },
        HomeWifi,
        OnboardingRepository,
        Onboardings,
        OnboardingDriver,
        OnboardingEffects,
        Recovery,
        Expiry,
        FactoryRegistry,
        Certifying,
        Announcing,
        Claiming,
        Gateways,
        Activation,
        Naming,
        DeviceTopicsDesk,
        RenewalDesk,
        HomeDesks,
        HomeReplies,
        Refusals,
        HomeTraffic,
        ProvisioningRuntime,
        HomeStandings,
        HomeOnboardings,
        Redirecting,
      ],
    };
  }
}
