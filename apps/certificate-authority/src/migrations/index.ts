import { auditMigration } from '@mqtt2go/audit';
import { outboxAgeMigration, outboxMigration } from '@mqtt2go/persistence';
import { schema } from '../schema.js';
import { AuthoritiesCertificates1767225600000 } from './1767225600000-authorities-certificates.js';

export const migrations = [outboxMigration(schema), AuthoritiesCertificates1767225600000, auditMigration(schema), outboxAgeMigration(schema)];
