import { auditMigration } from '@mqtt2go/audit';
import { outboxAgeMigration, outboxMigration } from '@mqtt2go/persistence';
import { schema } from '../schema.js';
import { AuthoritiesCertificates1767225600000 } from './1767225600000-authorities-certificates.js';
import { CertificateCounts1769904200000 } from './1769904200000-certificate-counts.js';
import { Enrolment1770076800000 } from './1770076800000-enrolment.js';
import { ForeignIssuers1770163200000 } from './1770163200000-foreign-issuers.js';

export const migrations = [
  outboxMigration(schema),
  AuthoritiesCertificates1767225600000,
  auditMigration(schema),
  outboxAgeMigration(schema),
  CertificateCounts1769904200000,
  Enrolment1770076800000,
  ForeignIssuers1770163200000,
];
