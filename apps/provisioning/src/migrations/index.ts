import { auditMigration } from '@mqtt2go/audit';
import { outboxAgeMigration, outboxMigration } from '@mqtt2go/persistence';
import { schema } from '../schema.js';
import { OnboardingsFactory1767225600000 } from './1767225600000-onboardings-factory.js';
import { ReplyBrokers1767484800000 } from './1767484800000-reply-brokers.js';
import { MovingHomes1770163200000 } from './1770163200000-moving-homes.js';
import { Networks1770940800000 } from './1770940800000-networks.js';

/** In the order in which they run. */
export const migrations = [
  outboxMigration(schema),
  OnboardingsFactory1767225600000,
  ReplyBrokers1767484800000,
  auditMigration(schema),
  outboxAgeMigration(schema),
  MovingHomes1770163200000,
  Networks1770940800000,
];
