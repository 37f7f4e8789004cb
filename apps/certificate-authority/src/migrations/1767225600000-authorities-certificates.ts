import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AuthoritiesCertificates1767225600000 implements MigrationInterface {
  readonly name = 'AuthoritiesCertificates1767225600000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE certificate_authority.authority_certificate (
        role varchar(16) NOT NULL,
        certificate text NOT NULL,
        CONSTRAINT authority_certificate_pk PRIMARY KEY (role)
      )`);
    await queryRunner.query(`
      CREATE TABLE certificate_authority.sealed_secret (
        name varchar(200) NOT NULL,
        sealed bytea NOT NULL,
        CONSTRAINT sealed_secret_pk PRIMARY KEY (name)
      )`);
    await queryRunner.query(`
      CREATE TABLE certificate_authority.device_key (
        public_key_hash bytea NOT NULL,
        device_id varchar(64) NOT NULL,
        CONSTRAINT device_key_pk PRIMARY KEY (public_key_hash),
        CONSTRAINT device_key_owner_uq UNIQUE (public_key_hash, device_id)
      )`);
    await queryRunner.query(`
      CREATE TABLE certificate_authority.device_certificate (
        serial_number varchar(40) NOT NULL,
        device_id varchar(64) NOT NULL,
        public_key_hash bytea NOT NULL,
        certificate bytea NOT NULL,
        not_before timestamptz NOT NULL,
        not_after timestamptz NOT NULL,
        renewed_from varchar(40),
        revoked_at timestamptz,
        revocation_reason varchar(32),
        CONSTRAINT device_certificate_pk PRIMARY KEY (serial_number),
        CONSTRAINT device_certificate_renewal_uq UNIQUE (renewed_from, public_key_hash),
        CONSTRAINT device_certificate_key_fk FOREIGN KEY (public_key_hash, device_id)
          REFERENCES certificate_authority.device_key (public_key_hash, device_id)
      )`);
    await queryRunner.query(
      'CREATE INDEX device_certificate_device_idx ON certificate_authority.device_certificate (device_id)',
    );
    await queryRunner.query(`
      CREATE INDEX device_certificate_revoked_idx ON certificate_authority.device_certificate (revoked_at)
        WHERE revoked_at IS NOT NULL`);
    await queryRunner.query(`
      CREATE TABLE certificate_authority.onboarding_certificate (
        onboarding_id uuid NOT NULL,
        device_id varchar(64),
        key_mode varchar(16),
        serial_number varchar(40),
        sealed_key bytea,
        outcome varchar(16),
        settled_at timestamptz,
        CONSTRAINT onboarding_certificate_pk PRIMARY KEY (onboarding_id)
      )`);
    await queryRunner.query(`
      CREATE TABLE certificate_authority.published_list (
        authority varchar(16) NOT NULL,
        revocations integer NOT NULL DEFAULT 0,
        published_revocations integer NOT NULL DEFAULT 0,
        number integer NOT NULL DEFAULT 0,
        next_update timestamptz,
        list text,
        CONSTRAINT published_list_pk PRIMARY KEY (authority)
      )`);
    await queryRunner.query(`INSERT INTO certificate_authority.published_list (authority) VALUES ('issuing')`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of [
      'published_list',
      'onboarding_certificate',
      'device_certificate',
      'device_key',
      'sealed_secret',
      'authority_certificate',
    ]) {
      await queryRunner.query(`DROP TABLE certificate_authority.${table}`);
    }
  }
}
