import { federation } from '@mqtt2go/messaging';
import type { Command } from 'commander';
import { z } from 'zod';
import { openOperator } from '../platform/operator.js';
import { readId } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';
import { pairs } from '../terminal/layout.js';

const options = z.object({ home: z.string().optional() });
type Gateway = z.output<typeof federation.listGateways.output>['gateways'][number];

export function listCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('at the cloud: the gateways that were invited, and how they are')
    .option('--home <id>', 'only those of this home', readId)
    .addHelpText('after', '\nExample:\n  $ npx mqtt2go gateway list --json');
  run((context, given) => list(context, options.parse(given)));
}

async function list({ terminal, dataDir, signal }: Context, { home }: z.infer<typeof options>): Promise<void> {
  const operator = await openOperator(dataDir, signal);
  try {
    let after: Pick<Gateway, 'homeId' | 'gatewayId'> | undefined;
    let count = 0;
    do {
      const page: readonly Gateway[] = (
        await operator.bus.call(federation.listGateways, {
          ...(home === undefined ? {} : { homeId: home }),
          ...(after === undefined ? {} : { after }),
        })
      ).gateways;
      for (const gateway of page) {
        terminal.result(plain(gateway), () =>
          pairs([[`${gateway.homeId}/${gateway.gatewayId}`, told(gateway)]], terminal.colors.bold),
        );
      }
      count += page.length;
      const last = page.at(-1);
      after = last && { homeId: last.homeId, gatewayId: last.gatewayId };
    } while (after !== undefined);
    if (count === 0) terminal.note('No gateway was invited.');
  } finally {
    await operator.close();
  }
}

function plain({ homeId, gatewayId, state, invitedAt, enrolledAt, seenAt, notAfter }: Gateway): object {
  return {
    home_id: homeId,
    gateway_id: gatewayId,
    state,
    invited_at: invitedAt,
    enrolled_at: enrolledAt ?? null,
    seen_at: seenAt ?? null,
    not_after: notAfter ?? null,
  };
}

function told({ state, seenAt, notAfter }: Gateway): string {
  return [state, seenAt && `seen ${seenAt}`, notAfter && `certificate until ${notAfter}`].filter(Boolean).join(', ');
}
