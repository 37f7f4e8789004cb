import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How a device comes into the Wi-Fi of a home, and that Wi-Fi. */
export class Networks1770940800000 implements MigrationInterface {
  readonly name = 'Networks1770940800000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE provisioning.gateway_wifi (
        home_id varchar(64) NOT NULL,
        gateway_id varchar(64) NOT NULL,
        sealed bytea NOT NULL,
        set_at timestamptz(3) NOT NULL,
        CONSTRAINT gateway_wifi_pk PRIMARY KEY (home_id, gateway_id)
      )`);
    await queryRunner.query(
      `ALTER TABLE provisioning.onboarding ADD COLUMN network varchar(16), ADD COLUMN wifi_hand_out uuid,
         ADD COLUMN wifi_handed_out_for timestamptz(3)`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `ALTER TABLE provisioning.onboarding DROP COLUMN wifi_handed_out_for, DROP COLUMN wifi_hand_out,
         DROP COLUMN network`,
    );
    await queryRunner.query('DROP TABLE provisioning.gateway_wifi');
  }
}
