import type { Command } from 'commander';
import { z } from 'zod';
import type { Context } from '../terminal/context.js';
import { withAuditDatabase } from './audit-database.js';
import type { Checkpoint } from './heads.js';

const options = z.object({ databaseUrl: z.string().optional() });

export function checkpointCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('note down where the audit log ends now, as JSON on stdout')
    .option('--database-url <url>', 'PostgreSQL (default: DATABASE_URL, or that of the data folder)')
    .addHelpText(
      'after',
      `
Keep it where whoever may change the database may not: with it,
mqtt2go audit verify also finds entries that were cut off.`,
    );
  run((context, given) => noteDown(context, options.parse(given)));
}

async function noteDown(context: Context, { databaseUrl }: z.infer<typeof options>): Promise<void> {
  const { auditHeads } = await import('@mqtt2go/audit');
  const heads = await withAuditDatabase(context, databaseUrl, (client) => auditHeads(client));
  const checkpoint: Checkpoint = { checkpoint: 1, at: new Date().toISOString(), heads };
  context.terminal.result(checkpoint, () => JSON.stringify(checkpoint, null, 2));
}
