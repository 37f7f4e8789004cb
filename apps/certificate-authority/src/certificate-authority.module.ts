import { BusModule } from '@mqtt2go/messaging';
import { PersistenceModule } from '@mqtt2go/persistence';
import { SecretBox } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import { AuditModule } from '@mqtt2go/runtime';
import type { DynamicModule } from '@nestjs/common';
import type { Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { Authorities } from './authority/authorities.js';
import { AuthorityController } from './authority/authority.controller.js';
import { DeviceBundles } from './certificates/device-bundles.js';
import { databaseOptions } from './database-options.js';
import { GatewayController } from './gateway/gateway.controller.js';
import { GatewaySigning } from './gateway/gateway-signing.js';
import { IssuingController } from './issuing/issuing.controller.js';
import { Issuing } from './issuing/issuing.js';
import { OnboardingCertificates } from './issuing/onboarding-certificates.js';
import { Settling } from './issuing/settling.js';
import { CertificateCounts } from './metrics/certificate-counts.js';
import { CertificateMetrics } from './metrics/certificate-metrics.js';
import { HomeCertificates } from './moving/home-certificates.js';
import { MovingController } from './moving/moving.controller.js';
import { RenewalController } from './renewal/renewal.controller.js';
import { DeviceRenewals } from './renewal/device-renewals.js';
import { Renewing } from './renewal/renewing.js';
import { AccessWithdrawal } from './revocation/access-withdrawal.js';
import { RevocationController } from './revocation/revocation.controller.js';
import { RevocationList } from './revocation/revocation-list.js';
import { Revoking } from './revocation/revoking.js';
import { schema } from './schema.js';
import type { CertificateAuthorityDeps } from './start-certificate-authority.js';

// biome-ignore lint/complexity/noStaticOnlyClass: the form of a Nest module
export class CertificateAuthorityModule {
  static forRoot(deps: CertificateAuthorityDeps, registry: Registry): DynamicModule {
    return {
      module: CertificateAuthorityModule,
      imports: [
        PersistenceModule.forRoot(databaseOptions(deps)),
        BusModule.forRoot({ link: deps.busLink, service: 'certificate-authority' }),
        AuditModule.forRoot({ schema, log: deps.log, registry, encryptionKey: deps.encryptionKey }),
      ],
      controllers: [
        AuthorityController,
        GatewayController,
        IssuingController,
        RenewalController,
        RevocationController,
        MovingController,
      ],
      providers: [
        { provide: Clock, useValue: deps.clock },
        { provide: SecretBox, useFactory: () => new SecretBox(deps.encryptionKey) },
        { provide: CertificateMetrics, useFactory: () => new CertificateMetrics(registry) },
        {
          provide: CertificateCounts,
          useFactory: (dataSource: DataSource, clock: Clock) => {
            const counts = new CertificateCounts(dataSource, clock);
            counts.register(registry);
            return counts;
          },
          inject: [DataSource, Clock],
        },
        {
          provide: Authorities,
          useFactory: (dataSource: DataSource, box: SecretBox, clock: Clock) =>
            Authorities.open(dataSource, box, clock),
          inject: [DataSource, SecretBox, Clock],
        },
        AccessWithdrawal,
        DeviceBundles,
        DeviceRenewals,
        HomeCertificates,
        GatewaySigning,
        Issuing,
        OnboardingCertificates,
        Renewing,
        RevocationList,
        Revoking,
        Settling,
      ],
    };
  }
}
