import type { MigrationInterface, QueryRunner } from 'typeorm';

/** On a gateway: what was said in the house and is not at the cloud's broker yet, in its order. */
export class BridgeQueue1770163200000 implements MigrationInterface {
  readonly name = 'BridgeQueue1770163200000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE federation.bridge_message (
        id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        topic text NOT NULL,
        payload bytea NOT NULL,
        qos smallint NOT NULL,
        retain boolean NOT NULL,
        CONSTRAINT bridge_message_pk PRIMARY KEY (id)
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE federation.bridge_message');
  }
}
