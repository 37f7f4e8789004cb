import type { MigrationInterface, QueryRunner } from 'typeorm';

const open = "state IN ('requested', 'certified', 'announced', 'claimed', 'awaiting-name')";

export class OnboardingsFactory1767225600000 implements MigrationInterface {
  readonly name = 'OnboardingsFactory1767225600000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE provisioning.factory_device (
        device_id varchar(64) NOT NULL,
        device_type varchar(64) NOT NULL,
        activation_code_hash bytea NOT NULL,
        key_mode varchar(16) NOT NULL,
        public_key text,
        CONSTRAINT factory_device_pk PRIMARY KEY (device_id)
      )`);
    await runner.query(`
      CREATE TABLE provisioning.onboarding (
        onboarding_id uuid NOT NULL,
        sequence bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        home_id varchar(64) NOT NULL,
        gateway_id varchar(64) NOT NULL,
        device_id varchar(64) NOT NULL,
        device_type varchar(64) NOT NULL,
        key_mode varchar(16) NOT NULL,
        activation_code varchar(64),
        request_digest varchar(64) NOT NULL,
        state varchar(16) NOT NULL,
        version integer NOT NULL,
        requested_at timestamptz(3) NOT NULL,
        deadline timestamptz(3) NOT NULL,
        certified boolean NOT NULL,
        announced_again boolean NOT NULL,
        controller_revision varchar(16) NOT NULL,
        controller_topic varchar(256) NOT NULL,
        device_revision varchar(16),
        device_topic varchar(256),
        device_name varchar(64),
        group_ids text[] NOT NULL,
        topics text[] NOT NULL,
        reason varchar(64),
        attempts integer NOT NULL DEFAULT 0,
        lease_until timestamptz NOT NULL,
        changed_at timestamptz(3) NOT NULL,
        CONSTRAINT onboarding_pk PRIMARY KEY (onboarding_id)
      )`);
    const indexes = [
      `UNIQUE INDEX onboarding_open_gateway_uq ON provisioning.onboarding (home_id, gateway_id) WHERE ${open}`,
      `UNIQUE INDEX onboarding_open_activation_code_uq ON provisioning.onboarding (activation_code)
         WHERE activation_code IS NOT NULL`,
      `UNIQUE INDEX onboarding_open_device_uq ON provisioning.onboarding (device_id) WHERE ${open}`,
      'INDEX onboarding_device_idx ON provisioning.onboarding (device_id, sequence)',
      `INDEX onboarding_deadline_idx ON provisioning.onboarding (deadline) WHERE ${open}`,
      `INDEX onboarding_owed_idx ON provisioning.onboarding (lease_until)
         WHERE state IN ('requested', 'certified')`,
      `INDEX onboarding_ended_idx ON provisioning.onboarding (changed_at)
         WHERE state IN ('expired', 'refused', 'cancelled')`,
    ];
    for (const index of indexes) await runner.query(`CREATE ${index}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE provisioning.onboarding');
    await runner.query('DROP TABLE provisioning.factory_device');
  }
}
