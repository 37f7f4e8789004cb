import type { MigrationInterface, QueryRunner } from 'typeorm';

export class ActivationsManufacturers1767225600000 implements MigrationInterface {
  readonly name = 'ActivationsManufacturers1767225600000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE discovery.waiting_activation (
        device_id varchar(64) NOT NULL,
        activation_code varchar(64) NOT NULL,
        onboarding_id uuid NOT NULL,
        revision varchar(16) NOT NULL,
        broker_host varchar(253) NOT NULL,
        broker_port integer NOT NULL,
        key_mode varchar(16) NOT NULL,
        sealed_certificate bytea,
        csr_key_hash bytea,
        expires_at timestamptz NOT NULL,
        claimed_at timestamptz,
        CONSTRAINT waiting_activation_pk PRIMARY KEY (device_id),
        CONSTRAINT waiting_activation_code_uq UNIQUE (activation_code)
      )`);
    await queryRunner.query(
      'CREATE INDEX waiting_activation_expires_at_idx ON discovery.waiting_activation (expires_at)',
    );
    await queryRunner.query(`
      CREATE TABLE discovery.manufacturer (
        fingerprint varchar(64) NOT NULL,
        name varchar(200) NOT NULL,
        certificate text NOT NULL,
        registered_at timestamptz NOT NULL,
        CONSTRAINT manufacturer_pk PRIMARY KEY (fingerprint)
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE discovery.manufacturer');
    await queryRunner.query('DROP TABLE discovery.waiting_activation');
  }
}
