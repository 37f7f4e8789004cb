import type { AuditProblem, AuditVerdict } from '@mqtt2go/audit';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Command } from 'commander';
import { z } from 'zod';
import type { Context } from '../terminal/context.js';
import { count } from '../terminal/layout.js';
import type { Terminal } from '../terminal/terminal.js';
import { findKey, withAuditDatabase } from './audit-database.js';
import { type Head, readCheckpoint, readHead } from './heads.js';

const options = z.object({
  databaseUrl: z.string().optional(),
  checkpoint: z.array(z.string()).default([]),
  head: z.array(z.custom<Head>()).default([]),
  keyFile: z.string().optional(),
});
const shownProblems = 10;

const meanings: Readonly<Record<AuditProblem['kind'], string>> = {
  altered: 'the entry, or its place, was changed after it was written',
  'entry-missing': 'an entry was removed',
  'link-missing': 'a piece of the chain was removed',
  inserted: 'an entry was put in among older ones',
  cut: 'the chain ends before an end that was noted down: newer entries were removed',
  rewritten: 'the chain has another hash than was noted down: it was made anew',
  'beginning-missing': 'the chain does not begin at 1; give the checkpoint that it was archived with',
  'seal-wrong': 'the seal is not of this platform’s key',
  'seal-missing': 'the chain was not sealed with the platform’s key',
};

export function verifyCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('check that nobody has changed the audit log')
    .option('--database-url <url>', 'PostgreSQL (default: DATABASE_URL, or that of the data folder)')
    .option('--checkpoint <file>', 'an end noted down by mqtt2go audit checkpoint', collect)
    .option('--head <schema:position:hash>', 'an end noted down in the log', readHead)
    .option('--key-file <file>', 'the platform’s key, for the seals (default: as the platform)')
    .addHelpText(
      'after',
      `
Without a checkpoint or head, a change, removal or insertion anywhere is found,
but not that the newest entries were cut off; without the key, not that somebody
has made the whole chain anew. Exits with 1 if anything was found.

Example:
  $ npx mqtt2go audit checkpoint > /elsewhere/audit-2026-01.json
  $ npx mqtt2go audit verify --checkpoint /elsewhere/audit-2026-01.json`,
    );
  run((context, given) => verify(context, options.parse(given)));
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

async function verify(context: Context, given: z.infer<typeof options>): Promise<void> {
  const { auditSchemas, sealKeyOf, verifyAudit } = await import('@mqtt2go/audit');
  const checkpoints = await Promise.all(given.checkpoint.map(readCheckpoint));
  const heads = [...given.head, ...checkpoints.flatMap((checkpoint) => checkpoint.heads)];
  const key = await findKey(context, given.keyFile);
  const sealKey = key === undefined ? undefined : sealKeyOf(key);
  const verdicts = await withAuditDatabase(context, given.databaseUrl, async (client) => {
    const schemas = await auditSchemas(client);
    const gone = heads.find(({ schema }) => !schemas.includes(schema));
    if (gone !== undefined || schemas.length === 0) {
      throw new Mqtt2goError(
        'conflict',
        `The database has no audit log${gone === undefined ? '' : ` of ${gone.schema}`}.`,
      );
    }
    const found: AuditVerdict[] = [];
    for (const schema of schemas) {
      context.signal.throwIfAborted();
      found.push(await verifyAudit(client, schema, { heads, ...(sealKey === undefined ? {} : { sealKey }) }));
    }
    return found;
  });
  const problems = verdicts.reduce((sum, verdict) => sum + verdict.problemCount, 0);
  context.terminal.result({ intact: problems === 0, sealsChecked: sealKey !== undefined, services: verdicts }, () =>
    inWords(verdicts, context.terminal, sealKey !== undefined),
  );
  if (problems > 0) throw new Mqtt2goError('conflict', `The audit log was changed: ${count(problems, 'problem')}.`);
}

function inWords(verdicts: readonly AuditVerdict[], { colors }: Terminal, sealsChecked: boolean): string {
  const { bold, dim, green, red } = colors;
  const width = Math.max(...verdicts.map(({ schema }) => schema.length));
  const lines = verdicts.flatMap((verdict) => {
    const { schema, entries, notChained, head, problems, problemCount } = verdict;
    const waiting = notChained === 0 ? '' : dim(`, ${notChained} not chained yet`);
    return [
      `${problemCount === 0 ? green('✓') : red('✗')} ${bold(schema.padEnd(width))}  ${entries.toLocaleString('en-US')} ${entries === 1 ? 'entry' : 'entries'}${waiting}`,
      dim(`  ${' '.repeat(width)}  ends at ${head.position} with ${head.hash.slice(0, 16)}…`),
      ...problems
        .slice(0, shownProblems)
        .map((problem) => `  ${red(problem.kind)} ${placeOf(problem)}: ${meanings[problem.kind]}`),
      ...(problemCount > shownProblems ? [`  and ${problemCount - shownProblems} more`] : []),
    ];
  });
  const intact = verdicts.every(({ problemCount }) => problemCount === 0);
  const seals = sealsChecked ? 'Seals were checked.' : 'Seals were not checked: the platform’s key was not given.';
  return [
    ...lines,
    '',
    intact ? `${green('The audit log is intact.')} ${dim(seals)}` : red('The audit log was changed.'),
  ].join('\n');
}

function placeOf({ position, seq }: AuditProblem): string {
  return position === undefined ? `entry ${seq}` : `position ${position}`;
}
