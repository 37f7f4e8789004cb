import { migrateDiscovery } from '@mqtt2go/discovery';
import { migrateFederation } from '@mqtt2go/federation';
import { migrateProvisioning } from '@mqtt2go/provisioning';
import { migrateTopicGenerator } from '@mqtt2go/topic-generator';
import type { Logger } from 'pino';

/**
 * Brings the schemas of the services to their newest migrations, so that none of them has to wait for that when it
 * starts; the certificate authority's is migrated with the making of its keys.
 * @throws Mqtt2goError `unavailable` without the database
 */
export async function migrateAll(database: { databaseUrl: string; log: Logger }): Promise<void> {
  await Promise.all([
    migrateDiscovery(database),
    migrateFederation(database),
    migrateProvisioning(database),
    migrateTopicGenerator(database),
  ]);
}
