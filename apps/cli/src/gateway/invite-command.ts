import { federation } from '@mqtt2go/messaging';
import { writeFileAtomically } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Command } from 'commander';
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import { openOperator } from '../platform/operator.js';
import { readGatewayId, readId } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';
import { pairs } from '../terminal/layout.js';

const options = z.object({ home: z.string(), gateway: z.string(), out: z.string(), force: z.boolean().default(false) });

export function inviteCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('at the cloud: invite the gateway of a house; it enrols with the file at its first start')
    .requiredOption('--home <id>', 'the home', readId)
    .requiredOption('--gateway <id>', 'the gateway of the home', readGatewayId)
    .requiredOption('--out <file>', 'where the invitation goes (0600); it is good once, for 24 hours')
    .option('--force', 'overwrite the file', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ npx mqtt2go gateway invite --home home-1 --gateway gw-1 --out invitation.json\n' +
        '  on the gateway: $ MQTT2GO_INVITATION=invitation.json npm start -- --profile local-gateway',
    );
  run((context, given) => invite(context, options.parse(given)));
}

async function invite({ terminal, dataDir, signal }: Context, given: z.infer<typeof options>): Promise<void> {
  const file = resolve(given.out);
  if (!given.force && (await isThere(file))) {
    throw new Mqtt2goError('conflict', `${file} is there already; --force overwrites it.`);
  }
  const operator = await openOperator(dataDir, signal);
  try {
    const { home: homeId, gateway: gatewayId } = given;
    const invitation = await operator.bus.call(federation.inviteGateway, { homeId, gatewayId });
    await writeFileAtomically(file, `${JSON.stringify(invitation, null, 2)}\n`, 0o600);
    const { bold, dim, green } = terminal.colors;
    const { cloudUrl, expiresAt } = invitation;
    terminal.result({ file, home_id: homeId, gateway_id: gatewayId, cloud_url: cloudUrl, expires_at: expiresAt }, () =>
      [
        `${green('✓')} Invited the gateway ${bold(gatewayId)} of home ${bold(homeId)}`,
        '',
        pairs(
          [
            ['Invitation', file],
            ['Cloud', cloudUrl],
            ['Good until', expiresAt],
          ],
          dim,
        ),
        '',
        'Whoever has the file can enrol in the gateway’s place: carry it there safely.',
      ].join('\n'),
    );
  } finally {
    await operator.close();
  }
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
