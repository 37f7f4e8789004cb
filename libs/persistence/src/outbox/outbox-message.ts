import { Column, Entity, Index, type MigrationInterface, PrimaryGeneratedColumn, type QueryRunner } from 'typeorm';

/** An effect that must happen because of something that is stored. */
@Entity({ name: 'outbox' })
@Index('outbox_due', ['notBefore'])
export class OutboxMessage {
  /** A bigint; TypeORM gives it as a string. */
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'outbox_pkey',
  })
  id: string;

  @Column({ type: 'text' })
  kind: string;

  @Column({ type: 'jsonb' })
  payload: unknown;

  @Column({ type: 'integer', default: 0 })
  attempts: number;

  @Column({ name: 'not_before', type: 'timestamptz', default: () => 'now()' })
  notBefore: Date;

  @Column({ name: 'last_error', type: 'text', nullable: true })
  lastError: string | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;
}

/** For the `entities` of a service that has an outbox. */
export const outboxEntity = OutboxMessage;

/** For the `migrations` of a service that has an outbox; {@link outboxAgeMigration} belongs to it. */
export function outboxMigration(schema: string): new () => MigrationInterface {
  return class implements MigrationInterface {
    readonly name = 'CreateOutbox1760000000000';

    async up(runner: QueryRunner): Promise<void> {
      await runner.query(`
        CREATE TABLE "${schema}"."outbox" (
          "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
          "kind" text NOT NULL,
          "payload" jsonb NOT NULL,
          "attempts" integer NOT NULL DEFAULT 0,
          "not_before" timestamptz NOT NULL DEFAULT now(),
          "last_error" text,
          CONSTRAINT "outbox_pkey" PRIMARY KEY ("id")
        )`);
      await runner.query(`CREATE INDEX "outbox_due" ON "${schema}"."outbox" ("not_before")`);
    }

    async down(runner: QueryRunner): Promise<void> {
      await runner.query(`DROP TABLE "${schema}"."outbox"`);
    }
  };
}

/** Follows {@link outboxMigration}: since when an effect is owed. */
export function outboxAgeMigration(schema: string): new () => MigrationInterface {
  return class implements MigrationInterface {
    readonly name = 'OutboxAge1769904100000';

    async up(runner: QueryRunner): Promise<void> {
      await runner.query(`ALTER TABLE "${schema}"."outbox" ADD COLUMN "created_at" timestamptz NOT NULL DEFAULT now()`);
    }

    async down(runner: QueryRunner): Promise<void> {
      await runner.query(`ALTER TABLE "${schema}"."outbox" DROP COLUMN "created_at"`);
    }
  };
}
