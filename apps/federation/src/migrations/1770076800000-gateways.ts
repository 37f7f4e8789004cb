import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The gateways of a cloud: invited, enrolled, revoked; and their certificates. */
export class Gateways1770076800000 implements MigrationInterface {
  readonly name = 'Gateways1770076800000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE federation.gateway (
        home_id varchar(64) NOT NULL,
        gateway_id varchar(64) NOT NULL,
        token_hash bytea NOT NULL,
        invited_at timestamptz NOT NULL,
        invited_until timestamptz NOT NULL,
        enrolled_at timestamptz,
        request_hash bytea,
        answer jsonb,
        revoked_at timestamptz,
        seen_at timestamptz,
        CONSTRAINT gateway_pk PRIMARY KEY (home_id, gateway_id),
        CONSTRAINT gateway_token_unique UNIQUE (token_hash)
      )`);
    await queryRunner.query(`
      CREATE TABLE federation.gateway_certificate (
        fingerprint varchar(64) NOT NULL,
        home_id varchar(64) NOT NULL,
        gateway_id varchar(64) NOT NULL,
        serial_number varchar(40) NOT NULL,
        not_after timestamptz NOT NULL,
        CONSTRAINT gateway_certificate_pk PRIMARY KEY (fingerprint),
        CONSTRAINT gateway_certificate_gateway_fk FOREIGN KEY (home_id, gateway_id)
          REFERENCES federation.gateway (home_id, gateway_id) ON DELETE CASCADE
      )`);
    await queryRunner.query(
      'CREATE INDEX gateway_certificate_gateway_idx ON federation.gateway_certificate (home_id, gateway_id)',
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE federation.gateway_certificate');
    await queryRunner.query('DROP TABLE federation.gateway');
  }
}
