import { auditMigration } from '@mqtt2go/audit';
import { outboxMigration } from '@mqtt2go/persistence';
import { schema } from '../schema.js';
import { OnboardingsFactory1767225600000 } from './1767225600000-onboardings-factory.js';

/** In the order in which they run. */
export const migrations = [outboxMigration(schema), OnboardingsFactory1767225600000, auditMigration(schema)];
