import { type AddProgress, Controller, type JoiningNetwork } from '@mqtt2go/controller-sdk';
import { Mqtt2goError, parseLabel } from '@mqtt2go/protocol';
import { type Command, InvalidArgumentError } from 'commander';
import { resolve } from 'node:path';
import { z } from 'zod';
import { collectGroups, readDeviceType, readId, readName, readSeconds } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';
import { duration, pairs } from '../terminal/layout.js';
import type { Terminal } from '../terminal/terminal.js';
import { StepView } from '../terminal/step-view.js';
import { readCredentials, rememberBroker } from './credentials.js';

const options = z.object({
  credentials: z.string(),
  deviceId: z.string().optional(),
  code: z.string().optional(),
  deviceType: z.string().optional(),
  label: z.object({ deviceId: z.string(), activationCode: z.string(), deviceType: z.string() }).optional(),
  name: z.string().optional(),
  group: z.array(z.string()).default(['home']),
  /** Milliseconds; the 15 minutes of the standard and a little more. */
  timeout: z.number().default(16 * 60_000),
});

export function addCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('add a device to a home: what the app does')
    .option('--device-id <id>', 'from the label', readId)
    .option('--code <code>', 'activation code, from the label', readId)
    .option('--device-type <type>', 'from the label; the factory record knows it too', readDeviceType)
    .option('--label <content>', 'what the QR code says, in place of the three', readLabel)
    .option('--name <name>', 'what people call it; the device id by default', readName)
    .option('--group <id>', 'where it belongs; can be repeated ("home" by default)', collectGroups)
    .option('--credentials <dir>', 'what mqtt2go controller credentials has written', '.')
    .option('--timeout <seconds>', 'how long to wait for the device (default: 960)', readSeconds)
    .addHelpText(
      'after',
      '\nExample:\n  $ npx mqtt2go controller add --credentials app --device-id kettle-1 \\\n      --code K7WM-3XQP-9RTD --name Kettle --group kitchen',
    );
  run((context, given) => add(context, options.parse(given), command));
}

function readLabel(content: string): ReturnType<typeof parseLabel> {
  try {
    return parseLabel(content);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : '');
  }
}

/** What the person has to do for the device to come into the Wi-Fi. */
function networkInWords(
  { instructions, ssid, closesAtMs }: JoiningNetwork,
  activationCode: string,
  { bold, dim }: Terminal['colors'],
): string {
  const until = new Date(closesAtMs).toLocaleTimeString('en-GB');
  const guest = ssid === undefined ? [] : [`      Network ${bold(ssid)}, password ${bold(activationCode)}`];
  return [`      ${instructions} ${dim(`(until ${until})`)}`, ...guest].join('\n');
}

async function add(context: Context, given: z.infer<typeof options>, command: Command): Promise<void> {
  const deviceId = given.deviceId ?? given.label?.deviceId;
  const activationCode = given.code ?? given.label?.activationCode;
  const deviceType = given.deviceType ?? given.label?.deviceType;
  if (deviceId === undefined || activationCode === undefined) {
    command.error("error: --device-id and --code are needed, or --label with the QR code's content");
  }
  const credentials = await readCredentials(resolve(given.credentials));
  const { terminal, signal } = context;
  const controller = new Controller({
    url: credentials.url,
    username: credentials.username,
    password: credentials.password,
    homeId: credentials.home_id,
    gatewayId: credentials.gateway_id,
    ca: credentials.ca,
    giveUpMs: given.timeout,
    onMoved: (url) => {
      terminal.warn(`mqtt2go: the home has moved to ${url}; the credentials say so from now on.`);
      moved = rememberBroker(resolve(given.credentials), url);
    },
  });
  let moved: Promise<void> = Promise.resolve();
  const startedMs = performance.now();
  const view = new StepView(terminal);
  let told = '';
  const tellNetwork = (network: JoiningNetwork | undefined): void => {
    if (network === undefined || network.instructions === told) return;
    told = network.instructions;
    if (terminal.json) terminal.result({ event: 'network', ...network }, () => '');
    else terminal.note(networkInWords(network, activationCode, terminal.colors));
  };
  const onProgress = (progress: AddProgress): void => {
    if (progress.kind === 'step') view.show({ who: progress.step === 2 ? 'platform' : 'app', ...progress });
    else tellNetwork(progress.network);
  };
  try {
    await controller.connect();
    const naming = { name: given.name ?? deviceId, groupIds: given.group };
    const request = {
      deviceId,
      activationCode,
      naming,
      onProgress,
      signal,
      ...(deviceType === undefined ? {} : { deviceType }),
    };
    const added = await controller.addDevice(request);
    const ms = performance.now() - startedMs;
    const { bold, dim, green } = terminal.colors;
    terminal.result({ event: 'added', ...added, seconds: Math.round(ms) / 1_000 }, () =>
      [
        `${green('✓')} Added ${bold(added.name)} (${added.deviceId}) in ${duration(ms)}`,
        pairs(
          added.topics.map((topic): [string, string] => ['Topic', topic]),
          dim,
        ),
      ].join('\n'),
    );
  } catch (error) {
    if (error instanceof Mqtt2goError && error.code === 'timeout') {
      throw new Mqtt2goError(
        'timeout',
        `${error.message} Is the device switched on, and in a network where it finds its gateway or its Discovery server?`,
        {
          cause: error,
        },
      );
    }
    throw error;
  } finally {
    await moved;
    await controller.close();
  }
}
