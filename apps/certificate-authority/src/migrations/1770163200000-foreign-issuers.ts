import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Certificates of homes that came from another platform, and the CAs there. */
export class ForeignIssuers1770163200000 implements MigrationInterface {
  readonly name = 'ForeignIssuers1770163200000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE certificate_authority.foreign_issuer (
        issuer_hash bytea NOT NULL,
        chain text NOT NULL,
        CONSTRAINT foreign_issuer_pk PRIMARY KEY (issuer_hash)
      )`);
    await queryRunner.query(`
      ALTER TABLE certificate_authority.device_certificate ADD COLUMN issuer_hash bytea,
        ADD CONSTRAINT device_certificate_issuer_fk FOREIGN KEY (issuer_hash)
          REFERENCES certificate_authority.foreign_issuer (issuer_hash)`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE certificate_authority.device_certificate
        DROP CONSTRAINT device_certificate_issuer_fk, DROP COLUMN issuer_hash`);
    await queryRunner.query('DROP TABLE certificate_authority.foreign_issuer');
  }
}
