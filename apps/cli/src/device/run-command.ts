import {
  BrokerFinder,
  Device,
  type DeviceNotice,
  type DeviceOptions,
  type DevicePhase,
  type DeviceStep,
  FolderDeviceStore,
} from '@mqtt2go/device-sdk';
import { LocalBrokerLookup } from '@mqtt2go/mdns';
import type { Command } from 'commander';
import { resolve } from 'node:path';
import { z } from 'zod';
import { readSeconds } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';
import { duration, wrapWords } from '../terminal/layout.js';
import { StepView } from '../terminal/step-view.js';

const options = z.object({
  /** Milliseconds. */
  reportEvery: z.number().default(30_000),
  reset: z.boolean().default(false),
  untilActive: z.boolean().default(false),
  local: z.boolean().default(true),
});

/** How long a device waits for a gateway in the house before it goes to the Discovery server. */
const localTimeoutMs = 1_000;

export function runCommand(
  command: Command,
  run: (action: (context: Context, options: unknown, folder: string) => Promise<void>) => void,
): void {
  command
    .description('be a device: get activated, get topics, live; ends with Ctrl-C')
    .argument('<dir>', 'what mqtt2go factory mint has written')
    .option('--report-every <seconds>', 'how often it reports its state (default: 30)', readSeconds)
    .option('--reset', 'forget everything since the factory first', false)
    .option('--no-local', 'do not look for MQTT2GO.local first, which takes a second where there is none')
    .option('--until-active', 'end when it has its topics', false)
    .addHelpText(
      'after',
      `
It goes on from where it ended: whatever it has got is kept in its folder. It
obeys set (on, off) and query, reports its state, renews its certificate, goes
with its home to another broker, and looks for it when it does not find it.

Example:
  $ npx mqtt2go device run kettle-1`,
    );
  run((context, given, folder) => runDevice(context, options.parse(given), resolve(folder)));
}

async function runDevice(context: Context, given: z.infer<typeof options>, folder: string): Promise<void> {
  const { terminal, signal } = context;
  const store = new FolderDeviceStore(folder);
  const { file } = await store.identity();
  if (given.reset) await store.forget();
  const { bold, dim, green, yellow } = terminal.colors;
  const view = new StepView(terminal);
  const say = (event: object, words: string): void => {
    if (terminal.json) terminal.result(event, () => '');
    else terminal.note(words);
  };
  const onSeveral = (addresses: readonly string[]): void => {
    const words = `Several gateways in this network say that they are MQTT2GO.local: ${addresses.join(', ')}`;
    say({ event: 'several_gateways', addresses }, `      ${yellow(words)}`);
  };
  const looking = given.local ? localLooking(onSeveral) : {};
  const device = new Device(store, { times: { reportEveryMs: given.reportEvery }, ...looking });

  say(
    { event: 'start', device_id: file.device_id },
    `${bold(file.device_id)} ${dim(`(${file.device_type}) in ${folder}`)}`,
  );
  const lastSteps = new Map<number, string>();
  let waiting = '';
  let phase: DevicePhase = 'factory';
  device.on('phase', (now) => {
    phase = now;
  });
  device.on('step', (step: DeviceStep) => {
    // A device that waits to be added goes through the same steps again and again: each is worth showing once.
    const repeated = step.step <= 6 && lastSteps.get(step.step) === step.what;
    lastSteps.set(step.step, step.what);
    if (!repeated) view.show({ who: 'device', ...step });
  });
  device.on('notice', (notice: DeviceNotice) => view.show({ who: 'device', ...notice }));
  device.on('problem', ({ error, retryInMs }) => {
    if (retryInMs === undefined || signal.aborted) return;
    const words =
      phase === 'factory' && error.code === 'forbidden'
        ? 'Nobody has added the device yet.'
        : `${error.code}: ${error.message}`;
    const event = { event: 'problem', code: error.code, detail: error.message, retry_in_ms: Math.round(retryInMs) };
    if (words !== waiting) {
      const lines = wrapWords(words, 72).map((line) => `      ${yellow(line)}`);
      say(event, `${lines.join('\n')} ${dim('Tries again.')}`);
    }
    waiting = words;
  });
  device.on('active', (topics) => {
    waiting = '';
    say({ event: 'active', topics }, `${green('✓')} Active; ends with Ctrl-C`);
    if (given.untilActive) void device.stop();
  });
  device.on('command', ({ topic, commandType, value, answer }) => {
    say(
      { event: 'command', topic, command_type: commandType, value, answer },
      `      ${bold(commandType)} ${JSON.stringify(value)} ${dim('→')} ${JSON.stringify(answer)}`,
    );
  });
  device.on('report', (topic, message) => {
    const { report_type: type, value } = z
      .object({ report_type: z.string(), value: z.unknown() })
      .parse(JSON.parse(message));
    if (type !== 'command_response')
      say({ event: 'report', topic, report_type: type, value }, dim(`      ${type} ${JSON.stringify(value)}`));
  });
  const startedMs = performance.now();
  await device.run(signal);
  say({ event: 'stopped' }, dim(`Stopped after ${duration(performance.now() - startedMs)}; its state is kept.`));
}

/** Step 3: a gateway in the house comes before the Discovery server. */
function localLooking(onSeveral: (addresses: readonly string[]) => void): Pick<DeviceOptions, 'finder' | 'lookup'> {
  const { find, lookup } = new LocalBrokerLookup({
    timeoutMs: localTimeoutMs,
    onSeveral: (gateways) => onSeveral(gateways.map(({ addresses: [address = ''] }) => address)),
  });
  return { finder: new BrokerFinder(find), lookup };
}
