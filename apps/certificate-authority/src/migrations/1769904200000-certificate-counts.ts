import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Certificates are counted by state out of this index alone. */
export class CertificateCounts1769904200000 implements MigrationInterface {
  readonly name = 'CertificateCounts1769904200000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE INDEX device_certificate_count_idx ON certificate_authority.device_certificate (not_after)
        INCLUDE (revoked_at)`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX certificate_authority.device_certificate_count_idx');
  }
}
