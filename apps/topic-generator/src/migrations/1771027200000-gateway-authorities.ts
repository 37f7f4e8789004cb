import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The CAs of gateways whose devices a home broker lets in. */
export class GatewayAuthorities1771027200000 implements MigrationInterface {
  readonly name = 'GatewayAuthorities1771027200000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE topic_generator.gateway_authority (
        home_id varchar(64) NOT NULL,
        gateway_id varchar(64) NOT NULL,
        key_hash varchar(64) NOT NULL,
        certificate text NOT NULL,
        CONSTRAINT gateway_authority_pk PRIMARY KEY (home_id, gateway_id, key_hash)
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE topic_generator.gateway_authority');
  }
}
