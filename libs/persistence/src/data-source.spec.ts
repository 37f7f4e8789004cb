import 'reflect-metadata';
import { createTestDatabase, silentLogger, type TestDatabase } from '@mqtt2go/testing';
import { Column, DataSource, Entity, Index, type MigrationInterface, PrimaryColumn, type QueryRunner } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataSource, type PersistenceOptions, schemaDifferences } from './data-source.js';
import { outboxEntity, outboxAgeMigration, outboxMigration } from './outbox/outbox-message.js';
import { isUniqueViolation } from './unique-violation.js';

@Entity({ name: 'lamp' })
@Index('lamp_name_key', ['name'], { unique: true })
class Lamp {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'lamp_pkey' })
  id: string;

  @Column({ type: 'text' })
  name: string;
}

class CreateLamp1760000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'CREATE TABLE "lamp" ("id" text NOT NULL, "name" text NOT NULL, CONSTRAINT "lamp_pkey" PRIMARY KEY ("id"))',
    );
    await runner.query('CREATE UNIQUE INDEX "lamp_name_key" ON "lamp" ("name")');
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "lamp"');
  }
}

let database: TestDatabase;
let opened: DataSource[];

beforeEach(async () => {
  database = await createTestDatabase();
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.filter((dataSource) => dataSource.isInitialized).map((dataSource) => dataSource.destroy()));
  await database.drop();
});

async function open(options: Partial<PersistenceOptions> = {}): Promise<DataSource> {
  const dataSource = await openDataSource({
    url: database.url,
    schema: 'lamps',
    entities: [Lamp, outboxEntity],
    migrations: [CreateLamp1760000000001, outboxMigration('lamps'), outboxAgeMigration('lamps')],
    poolSize: 3,
    log: silentLogger,
    ...options,
  });
  opened.push(dataSource);
  return dataSource;
}

describe('openDataSource', () => {
  it('makes the schema and its tables, and finds them the second time', async () => {
    const first = await open();
    await first.getRepository(Lamp).insert({ id: 'a', name: 'lamp' });
    await first.destroy();
    const second = await open();
    expect(await second.getRepository(Lamp).findBy({})).toEqual([{ id: 'a', name: 'lamp' }]);
    const tables = await second.query(`SELECT table_schema FROM information_schema.tables WHERE table_name = 'lamp'`);
    expect(tables).toEqual([{ table_schema: 'lamps' }]);
  });

  it('lets replicas start together', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => open()));
    expect(await Promise.all(all.map((dataSource) => dataSource.showMigrations()))).toEqual(Array(4).fill(false));
  });

  it('keeps services in one database apart', async () => {
    const [one, two] = [
      await open(),
      await open({ schema: 'others', migrations: [CreateLamp1760000000001], entities: [Lamp] }),
    ];
    await one.getRepository(Lamp).insert({ id: 'a', name: 'lamp' });
    expect(await two.getRepository(Lamp).count()).toBe(0);
  });

  it('finds entities and migrations in agreement, or tells what differs', async () => {
    expect(await schemaDifferences(await open())).toEqual([]);
    const behind = await open({
      schema: 'behind',
      migrations: [outboxMigration('behind'), outboxAgeMigration('behind')],
    });
    expect((await schemaDifferences(behind)).join()).toContain('CREATE TABLE "lamp"');
  });

  it('refuses a schema that a later release has changed, and changes nothing', async () => {
    await open();
    const earlier = open({ migrations: [CreateLamp1760000000001, outboxMigration('lamps')] });
    await expect(earlier).rejects.toMatchObject({
      code: 'configuration_invalid',
      message: expect.stringMatching(/^the schema lamps of the database is newer than this program.*OutboxAge/),
    });
  });

  it('ends a statement that takes too long', async () => {
    const dataSource = await open({ statementTimeoutMs: 1_000 });
    await expect(dataSource.query('SELECT pg_sleep(20)')).rejects.toThrow('statement timeout');
  });

  it('leaves nothing open after a migration that fails', async () => {
    class Broken1760000000002 implements MigrationInterface {
      async up(runner: QueryRunner): Promise<void> {
        await runner.query('CREATE TABLE half (id text)');
        await runner.query('SELECT broken');
      }
      async down(): Promise<void> {}
    }
    await expect(open({ migrations: [Broken1760000000002] })).rejects.toThrow('broken');
    const good = await open();
    expect(await good.query(`SELECT to_regclass('lamps.half') AS half`)).toEqual([{ half: null }]);
  });

  it('says which database cannot be used, without its password', async () => {
    const unreachable = new URL(database.url);
    unreachable.port = '1';
    const error = await open({ url: unreachable.href, connectTimeoutMs: 0 }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'unavailable' });
    expect(String(error)).toContain('the database 127.0.0.1:1/test_');
    expect(String(error)).not.toContain('postgres:postgres');
    const foreign = new URL(database.url);
    foreign.password = 'wrong';
    await expect(open({ url: foreign.href })).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('isUniqueViolation', () => {
  it('tells a taken value by the name of its constraint', async () => {
    const lamps = (await open()).getRepository(Lamp);
    await lamps.insert({ id: 'a', name: 'lamp' });
    const sameName = await lamps.insert({ id: 'b', name: 'lamp' }).catch((error: unknown) => error);
    expect(isUniqueViolation(sameName)).toBe(true);
    expect(isUniqueViolation(sameName, 'lamp_name_key')).toBe(true);
    expect(isUniqueViolation(sameName, 'lamp_pkey')).toBe(false);
    const missing = await lamps.query('INSERT INTO lamp (id) VALUES (1)').catch((error: unknown) => error);
    expect(isUniqueViolation(missing)).toBe(false);
    expect(isUniqueViolation(new Error('unique'))).toBe(false);
  });
});
