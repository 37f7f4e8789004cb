export { type AuditAction, auditActions } from './actions.js';
export * from './audit-entry.js';
export { auditMigration } from './audit-migration.js';
export { AuditRefusals, type AuditRefusalsOptions } from './audit-refusals.js';
export { AuditChain, type AuditChainOptions } from './chain/audit-chain.js';
export { sealKeyOf } from './chain/hashing.js';
export * from './verifying/list-audit.js';
export * from './verifying/verify-audit.js';
