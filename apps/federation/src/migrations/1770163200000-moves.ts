import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Moves of homes, and what is kept of their messages meanwhile. */
export class Moves1770163200000 implements MigrationInterface {
  readonly name = 'Moves1770163200000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE federation.move (
        move_id uuid NOT NULL,
        sequence bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        home_id varchar(64) NOT NULL,
        direction varchar(8) NOT NULL,
        state varchar(16) NOT NULL,
        reason varchar(64),
        detail varchar(1000),
        devices integer NOT NULL DEFAULT 0,
        copied integer NOT NULL DEFAULT 0,
        awaited integer NOT NULL DEFAULT 0,
        broker_host varchar(253),
        broker_port integer,
        requested_at timestamptz(3) NOT NULL,
        deadline timestamptz(3) NOT NULL,
        changed_at timestamptz(3) NOT NULL,
        CONSTRAINT move_pk PRIMARY KEY (move_id)
      )`);
    await queryRunner.query(`
      CREATE UNIQUE INDEX move_open_uq ON federation.move (home_id) WHERE state NOT IN ('moved', 'rolled-back')`);
    await queryRunner.query('CREATE INDEX move_home_idx ON federation.move (home_id, sequence)');
    await queryRunner.query(`
      CREATE TABLE federation.kept_home (
        home_id varchar(64) NOT NULL,
        kind varchar(8) NOT NULL,
        move_id uuid NOT NULL,
        CONSTRAINT kept_home_pk PRIMARY KEY (home_id, kind)
      )`);
    await queryRunner.query(`
      CREATE TABLE federation.kept_message (
        number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        home_id varchar(64) NOT NULL,
        kind varchar(8) NOT NULL,
        device_id varchar(64) NOT NULL,
        topic varchar(512) NOT NULL,
        payload bytea NOT NULL,
        CONSTRAINT kept_message_pk PRIMARY KEY (number)
      )`);
    await queryRunner.query(
      'CREATE INDEX kept_message_home_idx ON federation.kept_message (home_id, kind, device_id, number)',
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of ['kept_message', 'kept_home', 'move'])
      await queryRunner.query(`DROP TABLE federation.${table}`);
  }
}
