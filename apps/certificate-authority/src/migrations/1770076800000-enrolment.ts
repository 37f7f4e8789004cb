import type { MigrationInterface, QueryRunner } from 'typeorm';

/** On a gateway: at which cloud it is enrolled, and its certificate there. One row at most. */
export class Enrolment1770076800000 implements MigrationInterface {
  readonly name = 'Enrolment1770076800000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE certificate_authority.enrolment (
        is_only boolean NOT NULL DEFAULT true,
        home_id varchar(64) NOT NULL,
        gateway_id varchar(64) NOT NULL,
        cloud_url varchar(2048) NOT NULL,
        certificate text NOT NULL,
        CONSTRAINT enrolment_pk PRIMARY KEY (is_only),
        CONSTRAINT enrolment_only_one CHECK (is_only)
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE certificate_authority.enrolment');
  }
}
