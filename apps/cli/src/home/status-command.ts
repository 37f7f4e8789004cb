import { moving } from '@mqtt2go/messaging';
import { moveRule, standingRule } from '@mqtt2go/moving';
import type { Command } from 'commander';
import { z } from 'zod';
import { openOperator } from '../platform/operator.js';
import { readId } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';
import { count, pairs } from '../terminal/layout.js';
import { placeInWords } from './move-in-words.js';

const options = z.object({ home: z.string().optional() });

export function statusCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('tell where the home of this gateway is, and how its last move went')
    .option('--home <id>', 'to be sure which one; a gateway has one home', readId)
    .addHelpText('after', '\nExample:\n  $ npx mqtt2go home status');
  run((context, given) => tellStatus(context, options.parse(given)));
}

async function tellStatus({ terminal, dataDir, signal }: Context, { home }: z.infer<typeof options>): Promise<void> {
  const operator = await openOperator(dataDir, signal);
  try {
    const status = await operator.bus.call(moving.getHomeMove, home === undefined ? {} : { homeId: home });
    const { homeId, standing, devices, move } = status;
    const { bold, dim, yellow } = terminal.colors;
    terminal.result(status, () => {
      const rows: [string, string][] = [
        ['Here', standing === undefined ? 'unknown to this gateway' : `${standing}: ${standingRule(standing).about}`],
        ['Devices', count(devices, 'device')],
      ];
      if (move !== undefined) {
        rows.push(['Last move', `to be ${placeInWords(move.to)}, asked for ${move.requestedAt}`]);
        rows.push(['State', `${move.state}: ${moveRule(move.state).about}`]);
        if (move.broker !== undefined) rows.push(['Broker', `${move.broker.host}:${move.broker.port}`]);
        if (move.awaited > 0) rows.push(['Not there yet', count(move.awaited, 'device')]);
        if (move.reason !== undefined) rows.push(['Because of', yellow(`${move.reason}: ${move.detail ?? ''}`)]);
      }
      return [`Home ${bold(homeId)}`, '', pairs(rows, dim)].join('\n');
    });
  } finally {
    await operator.close();
  }
}
