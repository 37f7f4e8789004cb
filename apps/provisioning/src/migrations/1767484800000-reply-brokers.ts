import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Where controllers and devices spoke; onboardings of before there were several home brokers were on the first. */
export class ReplyBrokers1767484800000 implements MigrationInterface {
  readonly name = 'ReplyBrokers1767484800000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'ALTER TABLE provisioning.onboarding ADD COLUMN controller_broker varchar(64), ADD COLUMN device_broker varchar(64)',
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'ALTER TABLE provisioning.onboarding DROP COLUMN controller_broker, DROP COLUMN device_broker',
    );
  }
}
