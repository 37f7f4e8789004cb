import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Onboardings whose announcement was taken back, for as long as one that is late could still come. */
export class WithdrawnActivations1769990400000 implements MigrationInterface {
  readonly name = 'WithdrawnActivations1769990400000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE discovery.withdrawn_activation (
        onboarding_id uuid NOT NULL,
        announced_until timestamptz NOT NULL,
        CONSTRAINT withdrawn_activation_pk PRIMARY KEY (onboarding_id)
      )`);
    await queryRunner.query(
      'CREATE INDEX withdrawn_activation_announced_until_idx ON discovery.withdrawn_activation (announced_until)',
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE discovery.withdrawn_activation');
  }
}
