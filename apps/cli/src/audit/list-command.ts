import type { ListedEntry } from '@mqtt2go/audit';
import Table from 'cli-table3';
import { type Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { readId, readInteger } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';
import type { Terminal } from '../terminal/terminal.js';
import { withAuditDatabase } from './audit-database.js';

const options = z.object({
  databaseUrl: z.string().optional(),
  device: z.string().optional(),
  home: z.string().optional(),
  onboarding: z.uuid().optional(),
  since: z.date().optional(),
  until: z.date().optional(),
  limit: z.number().default(100),
});
const mostEntries = 1_000_000;

export function listCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('who did what to which device')
    .option('--device <id>', 'only what is about this device', readId)
    .option('--home <id>', 'only what is about this home', readId)
    .option('--onboarding <id>', 'only what is about this onboarding')
    .option('--since <time>', '2026-01-31T12:00:00Z, or how long ago: 15m, 24h, 7d', readTime)
    .option('--until <time>', 'as --since', readTime)
    .option('--limit <n>', 'the newest n (default: 100)', readInteger(1, mostEntries))
    .option('--database-url <url>', 'PostgreSQL (default: DATABASE_URL, or that of the data folder)')
    .addHelpText('after', '\nExample:\n  $ npx mqtt2go audit list --device kettle-1 --since 24h');
  run((context, given) => list(context, options.parse(given)));
}

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function readTime(value: string): Date {
  const [, amount, unit = ''] = /^(\d{1,6})([smhd])$/.exec(value) ?? [];
  const ms = amount === undefined ? Date.parse(value) : Date.now() - Number(amount) * (units[unit] ?? Number.NaN);
  if (Number.isNaN(ms)) throw new InvalidArgumentError('It must be a time in ISO 8601, or like 15m, 24h, 7d.');
  return new Date(ms);
}

async function list(context: Context, given: z.infer<typeof options>): Promise<void> {
  const { auditSchemas, listAudit } = await import('@mqtt2go/audit');
  const { device, home, onboarding, since, until, limit, databaseUrl } = given;
  const filter = { deviceId: device, homeId: home, onboardingId: onboarding, since, until, limit };
  const entries = await withAuditDatabase(context, databaseUrl, async (client) =>
    listAudit(client, await auditSchemas(client), filter),
  );
  const { terminal } = context;
  if (terminal.json) for (const entry of entries) terminal.result(plain(entry), () => '');
  else terminal.note(entries.length === 0 ? 'Nothing is written down about that.' : table(entries, terminal));
}

function plain(entry: ListedEntry): object {
  return {
    at: entry.at,
    service: entry.schema,
    seq: Number(entry.seq),
    position: entry.position === null ? null : Number(entry.position),
    actor: { kind: entry.actor_kind, id: entry.actor_id, certificate: entry.actor_certificate },
    action: entry.action,
    outcome: entry.outcome,
    device_id: entry.device_id,
    home_id: entry.home_id,
    onboarding_id: entry.onboarding_id,
    details: z.json().parse(JSON.parse(entry.details)),
  };
}

function table(entries: readonly ListedEntry[], { colors }: Terminal): string {
  const { bold, dim, green, red } = colors;
  const plainChars = {
    mid: '',
    'left-mid': '',
    'mid-mid': '',
    'right-mid': '',
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    right: '',
    middle: ' ',
  };
  const rows = new Table({
    head: ['time', 'who', 'what', 'outcome', 'device', 'home'].map((name) => bold(name)),
    style: { head: [], border: [], 'padding-left': 0 },
    chars: plainChars,
  });
  for (const entry of entries) {
    const { at, actor_kind: kind, actor_id: id, action, outcome, device_id: deviceId, home_id: homeId } = entry;
    rows.push([
      dim(at.replace('T', ' ').replace('Z', '')),
      kind === id ? kind : `${kind} ${id}`,
      action,
      outcome === 'ok' ? green(outcome) : red(outcome),
      deviceId ?? '',
      homeId ?? '',
    ]);
  }
  return rows.toString();
}
