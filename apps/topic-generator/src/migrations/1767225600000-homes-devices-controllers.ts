import type { MigrationInterface, QueryRunner } from 'typeorm';

export class HomesDevicesControllers1767225600000 implements MigrationInterface {
  readonly name = 'HomesDevicesControllers1767225600000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE topic_generator.home (
        home_id varchar(64) NOT NULL,
        CONSTRAINT home_pk PRIMARY KEY (home_id)
      )`);
    await queryRunner.query(`
      CREATE TABLE topic_generator.gateway (
        home_id varchar(64) NOT NULL,
        gateway_id varchar(64) NOT NULL,
        CONSTRAINT gateway_pk PRIMARY KEY (home_id, gateway_id),
        CONSTRAINT gateway_home_fk FOREIGN KEY (home_id) REFERENCES topic_generator.home (home_id) ON DELETE RESTRICT
      )`);
    await queryRunner.query(`
      CREATE TABLE topic_generator.home_group (
        home_id varchar(64) NOT NULL,
        group_id varchar(64) NOT NULL,
        CONSTRAINT home_group_pk PRIMARY KEY (home_id, group_id),
        CONSTRAINT home_group_home_fk FOREIGN KEY (home_id) REFERENCES topic_generator.home (home_id) ON DELETE CASCADE
      )`);
    await queryRunner.query(`
      CREATE TABLE topic_generator.device (
        device_id varchar(64) NOT NULL,
        home_id varchar(64) NOT NULL,
        gateway_id varchar(64) NOT NULL,
        device_type varchar(64) NOT NULL,
        pending_onboarding_id uuid,
        named_onboarding_id uuid,
        CONSTRAINT device_pk PRIMARY KEY (device_id),
        CONSTRAINT device_gateway_fk FOREIGN KEY (home_id, gateway_id)
          REFERENCES topic_generator.gateway (home_id, gateway_id) ON DELETE RESTRICT
      )`);
    await queryRunner.query('CREATE INDEX device_gateway_idx ON topic_generator.device (home_id, gateway_id)');
    await queryRunner.query(`
      CREATE TABLE topic_generator.device_certificate (
        device_id varchar(64) NOT NULL,
        serial_number varchar(40) NOT NULL,
        onboarding_id uuid,
        gateway_id varchar(64),
        device_type varchar(64),
        admitted_at timestamptz,
        dropped_at timestamptz,
        CONSTRAINT device_certificate_pk PRIMARY KEY (device_id, serial_number)
      )`);
    await queryRunner.query(`
      CREATE TABLE topic_generator.device_group (
        device_id varchar(64) NOT NULL,
        group_id varchar(64) NOT NULL,
        CONSTRAINT device_group_pk PRIMARY KEY (device_id, group_id),
        CONSTRAINT device_group_device_fk FOREIGN KEY (device_id)
          REFERENCES topic_generator.device (device_id) ON DELETE CASCADE
      )`);
    await queryRunner.query(`
      CREATE TABLE topic_generator.controller (
        username varchar(64) NOT NULL,
        home_id varchar(64) NOT NULL,
        gateway_id varchar(64) NOT NULL,
        role varchar(32) NOT NULL,
        password_iterations integer NOT NULL,
        password_salt varchar(128) NOT NULL,
        password_hash varchar(128) NOT NULL,
        CONSTRAINT controller_pk PRIMARY KEY (username),
        CONSTRAINT controller_gateway_fk FOREIGN KEY (home_id, gateway_id)
          REFERENCES topic_generator.gateway (home_id, gateway_id) ON DELETE CASCADE
      )`);
    await queryRunner.query('CREATE INDEX controller_gateway_idx ON topic_generator.controller (home_id, gateway_id)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of [
      'controller',
      'device_group',
      'device_certificate',
      'device',
      'home_group',
      'gateway',
      'home',
    ]) {
      await queryRunner.query(`DROP TABLE topic_generator.${table}`);
    }
  }
}
