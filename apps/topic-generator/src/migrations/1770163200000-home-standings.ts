import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How homes stand that move between platforms. */
export class HomeStandings1770163200000 implements MigrationInterface {
  readonly name = 'HomeStandings1770163200000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE topic_generator.home
        ADD COLUMN standing varchar(16) NOT NULL DEFAULT 'here',
        ADD COLUMN move_id uuid,
        ADD COLUMN moved_to_host varchar(253),
        ADD COLUMN moved_to_port integer,
        ADD COLUMN hosted varchar(129)[] NOT NULL DEFAULT '{}'`);
    await queryRunner.query(`
      CREATE TABLE topic_generator.discarded_move (
        move_id uuid NOT NULL,
        CONSTRAINT discarded_move_pk PRIMARY KEY (move_id)
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE topic_generator.discarded_move');
    await queryRunner.query(`
      ALTER TABLE topic_generator.home
        DROP COLUMN standing, DROP COLUMN move_id, DROP COLUMN moved_to_host, DROP COLUMN moved_to_port,
        DROP COLUMN hosted`);
  }
}
