import { topicGenerator } from '@mqtt2go/messaging';
import { writeFileAtomically } from '@mqtt2go/pki';
import type { Command } from 'commander';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { requireEmptyFolder } from '../factory/device-folder.js';
import { openOperator } from '../platform/operator.js';
import { readGatewayId, readId } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';
import { pairs } from '../terminal/layout.js';
import type { CredentialsFile } from './credentials.js';

const options = z.object({
  home: z.string(),
  gateway: z.string(),
  out: z.string(),
  username: z.string().optional(),
  force: z.boolean().default(false),
});

export function credentialsCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('make a user of a home, for an app or for mqtt2go controller add')
    .requiredOption('--home <id>', 'the home; made if it is new', readId)
    .requiredOption('--gateway <id>', 'the gateway of the home; made if it is new', readGatewayId)
    .requiredOption('--out <dir>', 'folder for credentials.json (0600) and ca.crt')
    .option(
      '--username <name>',
      'what stands before the @; made up if left out; one that is there gets a new password',
      readId,
    )
    .option('--force', 'overwrite the folder', false)
    .addHelpText('after', '\nExample:\n  $ npx mqtt2go controller credentials --home home-1 --gateway gw-1 --out app');
  run((context, given) => makeCredentials(context, options.parse(given)));
}

async function makeCredentials(context: Context, given: z.infer<typeof options>): Promise<void> {
  const folder = resolve(given.out);
  if (!given.force) await requireEmptyFolder(folder);
  const operator = await openOperator(context.dataDir, context.signal);
  try {
    const made = await operator.bus.call(topicGenerator.createController, {
      homeId: given.home,
      gatewayId: given.gateway,
      ...(given.username === undefined ? {} : { username: given.username }),
    });
    const { url, username, password } = made;
    const file: CredentialsFile = { url, username, password, home_id: given.home, gateway_id: given.gateway };
    await writeFileAtomically(join(folder, 'ca.crt'), operator.ca, 0o644);
    await writeFileAtomically(join(folder, 'credentials.json'), `${JSON.stringify(file, null, 2)}\n`, 0o600);
    const { terminal } = context;
    const { bold, dim, cyan, green } = terminal.colors;
    terminal.result({ folder, url, username, home_id: given.home, gateway_id: given.gateway }, () =>
      [
        `${green('✓')} Made the user ${bold(username)} of home ${bold(given.home)}`,
        '',
        pairs(
          [
            ['Broker', url],
            ['Home', given.home],
            ['Gateway', given.gateway],
            ['Folder', folder],
          ],
          dim,
        ),
        '',
        `Next: ${cyan(`npx mqtt2go controller add --credentials ${given.out} --device-id ID --code CODE`)}`,
      ].join('\n'),
    );
  } finally {
    await operator.close();
  }
}
