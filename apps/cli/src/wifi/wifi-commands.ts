import { provisioning } from '@mqtt2go/messaging';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Command } from 'commander';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { openOperator, type Operator } from '../platform/operator.js';
import { readGatewayId, readId } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';
import { pairs } from '../terminal/layout.js';

type Run = (action: (context: Context, options: unknown) => Promise<void>) => void;

const place = z.object({ home: z.string(), gateway: z.string() });
const setOptions = place.extend({ ssid: z.string(), passwordFile: z.string().optional() });
const maxPasswordBytes = 1_024;

function atPlace(command: Command): Command {
  return command
    .requiredOption('--home <id>', 'the home', readId)
    .requiredOption('--gateway <id>', 'the gateway of the home', readGatewayId);
}

/** `mqtt2go wifi set`: the password never stands on the command line, where others could read it. */
export function setWifiCommand(command: Command, run: Run): void {
  atPlace(command.description("tell a gateway the home's Wi-Fi, for devices that come by the guest network"))
    .requiredOption('--ssid <name>', 'the name of the Wi-Fi, 32 bytes at most')
    .option('--password-file <file>', 'a file with the password (8 to 63 characters); read from stdin if left out')
    .addHelpText(
      'after',
      "\nExample:\n  $ npx mqtt2go wifi set --home home-1 --gateway gw-1 --ssid 'Our home' < password.txt",
    );
  run(async (context, given) => {
    const { home: homeId, gateway: gatewayId, ssid, passwordFile } = setOptions.parse(given);
    const password = await readPassword(context, passwordFile);
    await asOperator(context, async ({ bus }) => {
      await bus.call(provisioning.setWifi, { homeId, gatewayId, ssid, password });
      const { green, bold } = context.terminal.colors;
      context.terminal.result({ home_id: homeId, gateway_id: gatewayId, ssid }, () => {
        return `${green('✓')} Devices that come by the guest network are told the Wi-Fi ${bold(ssid)}`;
      });
    });
  });
}

/** `mqtt2go wifi show`: the password is not shown. */
export function showWifiCommand(command: Command, run: Run): void {
  atPlace(command.description('show which Wi-Fi a gateway hands out; never its password'));
  run(async (context, given) => {
    const { home: homeId, gateway: gatewayId } = place.parse(given);
    await asOperator(context, async ({ bus }) => {
      const { ssid, setAt } = await bus.call(provisioning.showWifi, { homeId, gatewayId });
      const rows: [string, string][] = [
        ['Wi-Fi', ssid],
        ['Set', setAt],
      ];
      context.terminal.result({ home_id: homeId, gateway_id: gatewayId, ssid, set_at: setAt }, () =>
        pairs(rows, context.terminal.colors.dim),
      );
    });
  });
}

/** `mqtt2go wifi remove` */
export function removeWifiCommand(command: Command, run: Run): void {
  atPlace(command.description("have a gateway forget the home's Wi-Fi"));
  run(async (context, given) => {
    const { home: homeId, gateway: gatewayId } = place.parse(given);
    await asOperator(context, async ({ bus }) => {
      await bus.call(provisioning.removeWifi, { homeId, gatewayId });
      const { green } = context.terminal.colors;
      context.terminal.result({ home_id: homeId, gateway_id: gatewayId }, () => `${green('✓')} The Wi-Fi is forgotten`);
    });
  });
}

async function asOperator(context: Context, work: (operator: Operator) => Promise<void>): Promise<void> {
  const operator = await openOperator(context.dataDir, context.signal);
  try {
    await work(operator);
  } finally {
    await operator.close();
  }
}

/** The first line. @throws Mqtt2goError `configuration_invalid` */
async function readPassword({ stdin }: Context, file: string | undefined): Promise<string> {
  const text = file === undefined ? await readAll(stdin) : await readText(file);
  const [password = ''] = text.split(/\r?\n/, 1);
  if (password === '') {
    const where = file === undefined ? 'No password came on stdin' : `${file} holds no password`;
    throw new Mqtt2goError('configuration_invalid', `${where}; the Wi-Fi is as it was.`);
  }
  return password;
}

async function readText(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).slice(0, maxPasswordBytes);
  } catch (cause) {
    throw new Mqtt2goError('configuration_invalid', `--password-file: ${file} cannot be read.`, { cause });
  }
}

/** Up to the first line break: a person at a terminal does not say more. */
async function readAll(stdin: Context['stdin']): Promise<string> {
  let text = '';
  for await (const chunk of stdin) {
    text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
    if (text.includes('\n') || text.length > maxPasswordBytes) break;
  }
  return text;
}
