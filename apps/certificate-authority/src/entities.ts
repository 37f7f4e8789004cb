import { outboxEntity } from '@mqtt2go/persistence';
import { AuthorityCertificate } from './authority/authority-certificate.entity.js';
import { SealedSecret } from './authority/sealed-secret.entity.js';
import { DeviceCertificate } from './certificates/device-certificate.entity.js';
import { DeviceKey } from './certificates/device-key.entity.js';
import { OnboardingCertificate } from './issuing/onboarding-certificate.entity.js';
import { ForeignIssuer } from './moving/foreign-issuer.entity.js';
import { PublishedList } from './revocation/published-list.entity.js';

export const entities = [
  AuthorityCertificate,
  DeviceCertificate,
  DeviceKey,
  ForeignIssuer,
  OnboardingCertificate,
  PublishedList,
  SealedSecret,
  outboxEntity,
];
