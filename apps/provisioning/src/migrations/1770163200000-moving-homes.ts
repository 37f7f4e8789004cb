import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Homes that move between platforms, and the codes that factory records need to move with them. */
export class MovingHomes1770163200000 implements MigrationInterface {
  readonly name = 'MovingHomes1770163200000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE provisioning.home_standing (
        home_id varchar(64) NOT NULL,
        standing varchar(16) NOT NULL,
        move_id uuid NOT NULL,
        moved_to_host varchar(253),
        moved_to_port integer,
        changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        CONSTRAINT home_standing_pk PRIMARY KEY (home_id)
      )`);
    await queryRunner.query('CREATE INDEX home_standing_changed_idx ON provisioning.home_standing (changed_at)');
    await queryRunner.query(`
      CREATE TABLE provisioning.awaited_device (
        device_id varchar(64) NOT NULL,
        home_id varchar(64) NOT NULL,
        CONSTRAINT awaited_device_pk PRIMARY KEY (device_id)
      )`);
    await queryRunner.query('CREATE INDEX awaited_device_home_idx ON provisioning.awaited_device (home_id, device_id)');
    await queryRunner.query(`
      CREATE INDEX onboarding_home_idx ON provisioning.onboarding (home_id, device_id)
        WHERE state IN ('requested', 'certified', 'announced', 'claimed', 'awaiting-name', 'active')`);
    await queryRunner.query('ALTER TABLE provisioning.factory_device ADD COLUMN activation_code_sealed bytea');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE provisioning.factory_device DROP COLUMN activation_code_sealed');
    await queryRunner.query('DROP INDEX provisioning.onboarding_home_idx');
    await queryRunner.query('DROP TABLE provisioning.awaited_device');
    await queryRunner.query('DROP TABLE provisioning.home_standing');
  }
}
