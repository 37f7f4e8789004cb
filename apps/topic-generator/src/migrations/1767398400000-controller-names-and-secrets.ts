import type { MigrationInterface, QueryRunner } from 'typeorm';

/** User names with their home in them, and passwords for brokers that take no hashes. */
export class ControllerNamesAndSecrets1767398400000 implements MigrationInterface {
  readonly name = 'ControllerNamesAndSecrets1767398400000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE topic_generator.controller
        ALTER COLUMN username TYPE varchar(129),
        ADD COLUMN password_sealed bytea`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    // The narrower column takes none of them.
    await queryRunner.query(`DELETE FROM topic_generator.controller WHERE username LIKE '%@%'`);
    await queryRunner.query(`
      ALTER TABLE topic_generator.controller
        ALTER COLUMN username TYPE varchar(64),
        DROP COLUMN password_sealed`);
  }
}
