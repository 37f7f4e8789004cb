import { federation } from '@mqtt2go/messaging';
import type { Command } from 'commander';
import { z } from 'zod';
import { openOperator } from '../platform/operator.js';
import { readGatewayId, readId } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';

const options = z.object({ home: z.string(), gateway: z.string() });

export function revokeCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('at the cloud: turn a gateway away for good, for example one that was stolen')
    .requiredOption('--home <id>', 'the home', readId)
    .requiredOption('--gateway <id>', 'the gateway of the home', readGatewayId)
    .addHelpText('after', '\nExample:\n  $ npx mqtt2go gateway revoke --home home-1 --gateway gw-1');
  run((context, given) => revoke(context, options.parse(given)));
}

async function revoke({ terminal, dataDir, signal }: Context, given: z.infer<typeof options>): Promise<void> {
  const operator = await openOperator(dataDir, signal);
  try {
    const { home: homeId, gateway: gatewayId } = given;
    await operator.bus.call(federation.revokeGateway, { homeId, gatewayId });
    const { bold, green } = terminal.colors;
    terminal.result({ home_id: homeId, gateway_id: gatewayId, state: 'revoked' }, () =>
      [
        `${green('✓')} Revoked the gateway ${bold(gatewayId)} of home ${bold(homeId)}; its bridge is closed`,
        '',
        'The certificates that it has issued to devices stay good in its house, which the cloud cannot reach.',
      ].join('\n'),
    );
  } finally {
    await operator.close();
  }
}
