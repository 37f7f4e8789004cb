import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which of several processes moves a home and listens to it, for whom, and which devices the Discovery server tells of. */
export class Leases1771027200000 implements MigrationInterface {
  readonly name = 'Leases1771027200000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE federation.lease (
        name varchar(128) NOT NULL,
        holder varchar(128) NOT NULL,
        until timestamptz NOT NULL,
        CONSTRAINT lease_pk PRIMARY KEY (name)
      )`);
    await queryRunner.query(`ALTER TABLE federation.kept_home ADD state varchar(8) NOT NULL DEFAULT 'wanted'`);
    await queryRunner.query(`
      CREATE TABLE federation.held_device (
        home_id varchar(64) NOT NULL,
        device_id varchar(64) NOT NULL,
        CONSTRAINT held_device_pk PRIMARY KEY (home_id, device_id)
      )`);
    // Homes that are in the middle of it.
    await queryRunner.query(`
      INSERT INTO federation.held_device SELECT DISTINCT home_id, device_id FROM federation.kept_message WHERE kind = 'held'`);
    await queryRunner.query(`
      CREATE TABLE federation.relocated_device (
        home_id varchar(64) NOT NULL,
        device_id varchar(64) NOT NULL,
        until timestamptz(3) NOT NULL,
        CONSTRAINT relocated_device_pk PRIMARY KEY (home_id, device_id)
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of ['relocated_device', 'held_device']) await queryRunner.query(`DROP TABLE federation.${table}`);
    await queryRunner.query('ALTER TABLE federation.kept_home DROP COLUMN state');
    await queryRunner.query('DROP TABLE federation.lease');
  }
}
