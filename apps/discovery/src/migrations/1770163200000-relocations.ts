import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Devices whose homes have moved. */
export class Relocations1770163200000 implements MigrationInterface {
  readonly name = 'Relocations1770163200000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE discovery.relocation (
        device_id varchar(64) NOT NULL,
        home_id varchar(64) NOT NULL,
        code_hash bytea NOT NULL,
        sealed bytea NOT NULL,
        broker_host varchar(253) NOT NULL,
        broker_port integer NOT NULL,
        expires_at timestamptz(3) NOT NULL,
        CONSTRAINT relocation_pk PRIMARY KEY (device_id)
      )`);
    await queryRunner.query('CREATE INDEX relocation_code_idx ON discovery.relocation (code_hash)');
    await queryRunner.query('CREATE INDEX relocation_expires_at_idx ON discovery.relocation (expires_at)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE discovery.relocation');
  }
}
