import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * For the `migrations` of a service. Entries are written by whoever makes a change; links, which make a chain of them, are
 * added afterwards by one process at a time. Neither is ever changed or removed: the database refuses it.
 */
export function auditMigration(schema: string): new () => MigrationInterface {
  return class implements MigrationInterface {
    readonly name = 'CreateAudit1769904000000';

    async up(runner: QueryRunner): Promise<void> {
      await runner.query(`
        CREATE TABLE "${schema}".audit_entry (
          seq bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
          at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
          actor_kind varchar(16) NOT NULL,
          actor_id varchar(160) NOT NULL,
          actor_certificate varchar(40),
          action varchar(40) NOT NULL,
          device_id varchar(64),
          home_id varchar(64),
          onboarding_id uuid,
          outcome varchar(64) NOT NULL,
          details jsonb NOT NULL,
          CONSTRAINT audit_entry_pk PRIMARY KEY (seq)
        )`);
      await runner.query(`CREATE INDEX audit_entry_device_idx ON "${schema}".audit_entry (device_id, seq)`);
      // Times grow with the table, so that a few pages of index find a day in millions of rows.
      await runner.query(`CREATE INDEX audit_entry_at_idx ON "${schema}".audit_entry USING brin (at)`);
      await runner.query(`
        CREATE TABLE "${schema}".audit_link (
          position bigint NOT NULL,
          seq bigint NOT NULL,
          hash bytea NOT NULL,
          seal bytea,
          CONSTRAINT audit_link_pk PRIMARY KEY (position),
          CONSTRAINT audit_link_seq_uq UNIQUE (seq)
        )`);
      await runner.query(`
        CREATE FUNCTION "${schema}".audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION 'the audit log % only grows: % is refused', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'insufficient_privilege';
        END $$`);
      for (const table of ['audit_entry', 'audit_link']) {
        await runner.query(`
          CREATE TRIGGER ${table}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON "${schema}".${table}
          FOR EACH STATEMENT EXECUTE FUNCTION "${schema}".audit_only_grows()`);
        await runner.query(`ALTER TABLE "${schema}".${table} ENABLE ALWAYS TRIGGER ${table}_only_grows`);
      }
    }

    async down(runner: QueryRunner): Promise<void> {
      await runner.query(`DROP TABLE "${schema}".audit_link`);
      await runner.query(`DROP TABLE "${schema}".audit_entry`);
      await runner.query(`DROP FUNCTION "${schema}".audit_only_grows()`);
    }
  };
}
