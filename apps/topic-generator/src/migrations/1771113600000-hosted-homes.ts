import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A home may have been here before it came, and be reached by nobody: that differs from one that was not. */
export class HostedHomes1771113600000 implements MigrationInterface {
  readonly name = 'HostedHomes1771113600000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'ALTER TABLE topic_generator.home ALTER COLUMN hosted DROP NOT NULL, ALTER COLUMN hosted DROP DEFAULT',
    );
    await queryRunner.query(`UPDATE topic_generator.home SET hosted = NULL WHERE hosted = '{}'`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`UPDATE topic_generator.home SET hosted = '{}' WHERE hosted IS NULL`);
    await queryRunner.query(
      `ALTER TABLE topic_generator.home ALTER COLUMN hosted SET NOT NULL, ALTER COLUMN hosted SET DEFAULT '{}'`,
    );
  }
}
