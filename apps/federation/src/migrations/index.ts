import { auditMigration } from '@mqtt2go/audit';
import { outboxAgeMigration, outboxMigration } from '@mqtt2go/persistence';
import { schema } from '../schema.js';
import { Gateways1770076800000 } from './1770076800000-gateways.js';
import { BridgeQueue1770163200000 } from './1770163200000-bridge-queue.js';
import { Moves1770163200000 } from './1770163200000-moves.js';
import { Leases1771027200000 } from './1771027200000-leases.js';

/** In the order in which they run. */
export const migrations = [
  outboxMigration(schema),
  outboxAgeMigration(schema),
  auditMigration(schema),
  Gateways1770076800000,
  BridgeQueue1770163200000,
  Moves1770163200000,
  Leases1771027200000,
];
