import { keyMode, Mqtt2goError } from '@mqtt2go/protocol';
import { SingleBar } from 'cli-progress';
import { type Command, Option } from 'commander';
import { resolve } from 'node:path';
import { z } from 'zod';
import { defaultManufacturerDir, openManufacturer } from '../factory/manufacturer.js';
import { openOperator } from '../platform/operator.js';
import { readInteger } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';
import { count, pairs } from '../terminal/layout.js';
import { type FleetReport, runFleet } from './fleet.js';

const options = z.object({
  concurrency: z.int(),
  homes: z.int().optional(),
  keyMode,
  manufacturerDir: z.string().optional(),
  stay: z.boolean().default(false),
});

export function fleetCommand(
  command: Command,
  run: (action: (context: Context, options: unknown, devices: number) => Promise<void>) => void,
): void {
  command
    .description('be many devices, each added by the controller of its home')
    .argument('<n>', 'how many', readInteger(1, 100_000))
    .option('--concurrency <n>', 'how many are added at once', readInteger(1, 1_000), 8)
    .option('--homes <n>', 'how many homes; as many as are added at once by default', readInteger(1, 10_000))
    .addOption(new Option('--key-mode <mode>', 'as in factory mint').choices(keyMode.options).default('existing-key'))
    .option('--manufacturer-dir <dir>', "the manufacturer's CA; <data>/manufacturer by default")
    .option('--stay', 'keep the devices connected until Ctrl-C', false)
    .addHelpText(
      'after',
      '\nTells onboardings a second and how long one took, from step 1 to step 13.\n\nExample:\n  $ npx mqtt2go device fleet 200 --concurrency 16',
    );
  run((context, given, devices) => fleet(context, options.parse(given), devices));
}

async function fleet(context: Context, given: z.infer<typeof options>, devices: number): Promise<void> {
  const { terminal, dataDir, signal } = context;
  const { concurrency, homes = concurrency } = given;
  const operator = await openOperator(dataDir, signal);
  const bar = terminal.showsProgress
    ? new SingleBar({
        stream: terminal.stderr,
        format: '  {bar} {value}/{total} devices  {failed} failed',
        barsize: 28,
        barCompleteChar: '█',
        barIncompleteChar: '░',
        hideCursor: true,
        clearOnComplete: true,
      })
    : undefined;
  let report: FleetReport;
  try {
    const authority = await openManufacturer(resolve(given.manufacturerDir ?? defaultManufacturerDir(dataDir)));
    report = await runFleet(operator, authority, {
      devices,
      concurrency: Math.min(concurrency, homes),
      homes,
      keyMode: given.keyMode,
      stay: given.stay,
      signal,
      onPhase: (phase) => {
        if (phase === 'minting')
          terminal.note(`Mints ${count(devices, 'device')} for ${count(Math.min(homes, devices), 'home')} ...`);
        if (phase === 'adding') bar?.start(devices, 0, { failed: 0 });
        if (phase === 'living') terminal.note('The devices stay until Ctrl-C.');
      },
      onDevice: (done, failed) => bar?.update(done, { failed }),
      onAdded: (added) => {
        bar?.stop();
        terminal.result({ ...added, concurrency, homes, keyMode: given.keyMode }, () =>
          inWords(added, terminal.colors),
        );
      },
    });
  } finally {
    bar?.stop();
    await operator.close();
  }
  if (report.failed.length > 0) {
    throw new Mqtt2goError(
      'conflict',
      `${count(report.failed.length, 'device')} of ${report.devices} could not be added.`,
    );
  }
}

function inWords(report: FleetReport, { bold, dim, green, yellow }: Context['terminal']['colors']): string {
  const reasons = new Map<string, number>();
  for (const { code, detail } of report.failed) {
    const reason = `${code}: ${detail}`;
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  return [
    `${report.failed.length === 0 ? green('✓') : yellow('!')} ${count(report.added, 'device')} added`,
    pairs(
      [
        ['Rate', bold(`${report.perSecond.toFixed(1)} /s`)],
        [
          'Step 1 to 13',
          `p50 ${report.p50Ms.toFixed(0)} ms, p99 ${report.p99Ms.toFixed(0)} ms, max ${report.maxMs.toFixed(0)} ms`,
        ],
        ['Time', `${report.seconds.toFixed(2)} s`],
        ...[...reasons].map(([reason, times]): [string, string] => [`${times} failed`, reason]),
      ],
      dim,
    ),
  ].join('\n');
}
