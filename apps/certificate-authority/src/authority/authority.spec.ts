import { certificateAuthority } from '@mqtt2go/messaging';
import { openDataSource, schemaDifferences } from '@mqtt2go/persistence';
import { createEncryptionKey, readCertificate, SecretBox, verifyChain } from '@mqtt2go/pki';
import { FakeClock, keyStoreContract } from '@mqtt2go/ports';
import { createTestDatabase, silentLogger, type TestDatabase } from '@mqtt2go/testing';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuthorityStand } from '../../test/authority-stand.js';
import { databaseOptions } from '../database-options.js';
import { migrations } from '../migrations/index.js';
import { Authorities } from './authorities.js';
import { PostgresKeyStore } from './postgres-key-store.js';
import { SealedSecret } from './sealed-secret.entity.js';

const clock = new FakeClock();

describe('the schema', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await openDataSource(databaseOptions({ databaseUrl: database.url, log: silentLogger }));
  });
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  it('is what the entities say', async () => {
    expect(await schemaDifferences(dataSource)).toEqual([]);
  });

  describe('as a key store', () => {
    it.each(keyStoreContract)('$behaviour', async ({ check }) => {
      await dataSource.manager.clear(SealedSecret);
      await check(new PostgresKeyStore(dataSource.manager, new SecretBox(createEncryptionKey())));
    });
  });

  it('can be taken back', async () => {
    for (let undone = 0; undone < migrations.length; undone += 1) await dataSource.undoLastMigration();
    expect(await dataSource.query('SELECT tablename FROM pg_tables WHERE schemaname = current_schema()')).toEqual([
      { tablename: 'migration' },
    ]);
    await dataSource.runMigrations();
  });
});

describe('the CAs', () => {
  let database: TestDatabase;
  const box = new SecretBox(createEncryptionKey());
  const sources: DataSource[] = [];

  async function open(secretBox = box): Promise<Authorities> {
    const dataSource = await openDataSource(
      databaseOptions({ databaseUrl: database.url, log: silentLogger, poolSize: 1 }),
    );
    sources.push(dataSource);
    return Authorities.open(dataSource, secretBox, clock);
  }

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(async () => {
    await Promise.all(sources.map((source) => source.destroy()));
    await database.drop();
  });

  it('are made once by all who start at once, and are the same from then on', async () => {
    const opened = await Promise.all([open(), open(), open()]);
    opened.push(await open());
    for (const role of ['root', 'issuing', 'server', 'services'] as const) {
      expect(new Set(opened.map((authorities) => authorities[role].certificate)).size).toBe(1);
    }
  });

  it('stand below the root, except for that of the services', async () => {
    const { root, issuing, server, services } = await open();
    const verify = (certificate: string) =>
      verifyChain({ certificate, trustAnchors: [root.certificate], nowMs: clock.now() });
    expect(verify(issuing.certificate)).toMatchObject({ valid: true });
    expect(verify(server.certificate)).toMatchObject({ valid: true });
    expect(verify(services.certificate)).toMatchObject({ valid: false });
    const names = [root, issuing, server, services].map(({ certificate }) => readCertificate(certificate).commonName);
    expect(new Set(names).size).toBe(4);
  });

  it('do not open with another encryption key, which is said clearly', async () => {
    await expect(open(new SecretBox(createEncryptionKey()))).rejects.toMatchObject({
      code: 'configuration_invalid',
      message: expect.stringMatching(/encryption key.*MQTT2GO_KEY/),
    });
  });

  it('have no key in the database in clear', async () => {
    await open();
    const rows = (await sources.at(-1)?.manager.find(SealedSecret)) ?? [];
    expect(rows).toHaveLength(4);
    // The object identifiers that every PKCS#8 key on P-256 begins with.
    const head = Buffer.from('06072a8648ce3d020106082a8648ce3d030107', 'hex');
    for (const { sealed } of rows) expect(sealed.includes(head)).toBe(false);
  });
});

describe('the service', () => {
  it('tells its public side, is healthy, and is the same after a restart', async () => {
    const stand = await AuthorityStand.start();
    try {
      const before = await stand.call(certificateAuthority.getAuthority, {});
      expect(readCertificate(before.root).isAuthority).toBe(true);
      expect(before.crl).toContain('X509 CRL');
      await stand.restart();
      expect(await stand.call(certificateAuthority.getAuthority, {})).toEqual(before);
      expect(await stand.handle.health()).toMatchObject({ name: 'certificate-authority', status: 'up' });
    } finally {
      await stand.stop();
    }
  });
});
