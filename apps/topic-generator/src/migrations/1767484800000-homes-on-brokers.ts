import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Homes of before there were several home brokers have none yet: the service places them on its first. */
export class HomesOnBrokers1767484800000 implements MigrationInterface {
  readonly name = 'HomesOnBrokers1767484800000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE topic_generator.home ADD COLUMN broker varchar(64)');
    await queryRunner.query('CREATE INDEX home_broker_idx ON topic_generator.home (broker)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX topic_generator.home_broker_idx');
    await queryRunner.query('ALTER TABLE topic_generator.home DROP COLUMN broker');
  }
}
