import { Controller } from '@mqtt2go/controller-sdk';
import { BrokerFinder, Device, MemoryDeviceStore } from '@mqtt2go/device-sdk';
import { topicGenerator } from '@mqtt2go/messaging';
import { localGateway } from '@mqtt2go/config';
import { keyMode, Mqtt2goError } from '@mqtt2go/protocol';
import { type Command, Option } from 'commander';
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { z } from 'zod';
import { addOne } from '../device/add-one.js';
import { labelText } from '../factory/label.js';
import { defaultManufacturerDir, openManufacturer, registerManufacturer } from '../factory/manufacturer.js';
import { mintDevice, recordDevices } from '../factory/minted-device.js';
import { openOperator, type Operator } from '../platform/operator.js';
import type { Context } from '../terminal/context.js';
import { duration } from '../terminal/layout.js';
import { type ShownStep, StepView } from '../terminal/step-view.js';
import { ChildPlatform } from './child-platform.js';
import { Story } from './story.js';

const options = z.object({ keyMode });
const patienceMs = 60_000;

export function demoCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('the whole story in one terminal: all 13 steps, as they happen')
    .addOption(new Option('--key-mode <mode>', 'as in factory mint').choices(keyMode.options).default('existing-key'))
    .addHelpText(
      'after',
      `
Uses the platform that runs on the data folder, or starts one of its own in a
temporary folder on free ports and stops it at the end. Exits with 0 only if all
13 steps happened, in their order, and the device obeyed; all but the 4th with a
gateway in the house, which needs no Discovery server.`,
    );
  run((context, given) => demo(context, options.parse(given)));
}

async function demo(context: Context, given: z.infer<typeof options>): Promise<void> {
  const { terminal, dataDir, signal } = context;
  const startedMs = performance.now();
  let child: ChildPlatform | undefined;
  let operator: Operator | undefined;
  try {
    operator = await openOperator(dataDir, signal).catch((error: unknown) => {
      if (error instanceof Mqtt2goError && error.code === 'unavailable') return undefined;
      throw error;
    });
    if (operator === undefined) {
      terminal.note(terminal.colors.dim('No platform runs here: starts one for this demo ...'));
      child = await ChildPlatform.start(context.env, signal);
      operator = await openOperator(child.dataDir, signal);
      terminal.note(terminal.colors.dim(`Ready in ${duration(performance.now() - startedMs)}.`));
    }
    const late = AbortSignal.timeout(patienceMs);
    await tell(context, operator, given, child?.dataDir ?? dataDir, AbortSignal.any([signal, late])).catch(
      (error: unknown) => {
        if (late.aborted && !signal.aborted) {
          throw new Mqtt2goError('timeout', `The story did not come to its end within ${patienceMs / 1_000} s.`, {
            cause: error,
          });
        }
        throw error;
      },
    );
  } finally {
    await operator?.close();
    await child?.stop();
  }
}

async function tell(
  { terminal }: Context,
  operator: Operator,
  given: z.infer<typeof options>,
  dataDir: string,
  signal: AbortSignal,
): Promise<void> {
  const { bold, dim, green } = terminal.colors;
  const run = randomBytes(2).toString('hex');
  const [homeId, gatewayId] = [`demo-home-${run}`, 'gw-1'];
  const startedMs = performance.now();

  const authority = await openManufacturer(resolve(defaultManufacturerDir(dataDir)));
  await registerManufacturer(operator, authority);
  const request = { deviceId: `socket-${run}`, deviceType: 'socket', keyMode: given.keyMode };
  const minted = await mintDevice(request, { authority, operator });
  await recordDevices(operator, [minted]);
  const { device_id: deviceId, activation_code: activationCode, device_type: deviceType } = minted.identity.file;
  const qr = await labelText({ deviceId, activationCode, deviceType }, terminal.colors.isColorSupported);
  terminal.note(
    [
      '',
      `${bold('Factory')}  mints ${bold(deviceId)}, a ${deviceType}, activation code ${bold(activationCode)}`,
      qr.trimEnd(),
      `${bold('Home')}     ${homeId} gets a user for its app`,
      '',
    ].join('\n'),
  );
  const user = await operator.bus.call(topicGenerator.createController, { homeId, gatewayId });
  const controller = new Controller({ ...user, homeId, gatewayId, ca: operator.ca });
  const { profile, host, ports } = operator.platform;
  const isLocal = profile === localGateway.name;
  // In the house it would be found by its name; here it is known.
  const finder = new BrokerFinder(async () => (isLocal ? { host, port: ports.home } : undefined));
  const device = new Device(new MemoryDeviceStore(minted.identity), { finder });
  try {
    await controller.connect();
    const story = new Story(isLocal ? [4] : []);
    const view = new StepView(terminal);
    const show = (step: ShownStep): void => {
      if (story.happened(step.step)) view.show(step);
    };
    device.on('step', (step) => show({ who: 'device', ...step }));
    const added = await addOne({
      controller,
      minted,
      device,
      naming: { name: 'Kettle', groupIds: ['kitchen'] },
      onProgress: (progress) => {
        if (progress.kind === 'step') show({ who: progress.step === 2 ? 'platform' : 'app', ...progress });
      },
      signal,
    });
    const addedMs = performance.now() - startedMs;
    story.requireAll();

    const [topic] = added.topics;
    if (topic === undefined) throw new Mqtt2goError('internal', 'The device has no topic.');
    const reported = await follow(controller, topic, signal);
    const answer = await controller.send(topic, 'set', 'on');
    const state = await reported();
    terminal.note('');
    terminal.result(
      {
        event: 'done',
        device_id: deviceId,
        topic,
        answer,
        state,
        steps: story.count,
        seconds: Math.round(addedMs) / 1_000,
      },
      () =>
        [
          `${bold('App')}      switches it on: set "on" on`,
          `         ${dim(topic)}`,
          `${bold('Device')}   answers ${JSON.stringify(answer)} and reports ${JSON.stringify(state)}`,
          '',
          `${green('✓')} All ${story.count} steps happened, in ${duration(addedMs)}; the socket is on.`,
        ].join('\n'),
    );
  } finally {
    await device.stop();
    await controller.close();
  }
}

/** Resolves, when it is subscribed, to what resolves to the state that the device reports once it is on. */
async function follow(controller: Controller, topic: string, signal: AbortSignal): Promise<() => Promise<unknown>> {
  let seen: (value: unknown) => void = () => undefined;
  const state = new Promise<unknown>((resolve, reject) => {
    seen = resolve;
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  state.catch(() => undefined);
  await controller.watch(topic, ({ reportType, value }) => {
    const on = z.object({ state: z.literal('on') }).safeParse(value).success;
    if (on && reportType !== 'command_response') seen(value);
  });
  return () => state;
}
