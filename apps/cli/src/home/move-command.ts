import { moving, type MoveView } from '@mqtt2go/messaging';
import { moveRule } from '@mqtt2go/moving';
import { isErrorCode, Mqtt2goError } from '@mqtt2go/protocol';
import { SingleBar } from 'cli-progress';
import { type Command, Option } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { openOperator, type Operator } from '../platform/operator.js';
import { readId } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';
import { count, duration } from '../terminal/layout.js';
import { placeInWords } from './move-in-words.js';

const options = z.object({ to: moving.moveDirection, home: z.string().optional() });
const pollMs = 200;

export function moveCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('move the home of this gateway to the cloud, or back to the gateway')
    .addOption(
      new Option('--to <side>', 'remote: the cloud; local: this gateway')
        .choices(['remote', 'local'])
        .makeOptionMandatory(),
    )
    .option('--home <id>', 'to be sure which one; a gateway has one home', readId)
    .addHelpText(
      'after',
      `
Run it on the gateway, whichever way the home goes. Devices keep their names,
groups, topics and certificates, and nobody has to touch them; one that is off
finds its home when it comes back. Until the new side has all of the home, a
move that fails is undone, and the home goes on where it was.

Ctrl-C leaves the move going; the same command shows it again, and
mqtt2go home status tells how it goes.

Example:
  $ npx mqtt2go home move --to remote`,
    );
  run((context, given) => moveHome(context, options.parse(given)));
}

async function moveHome(context: Context, { to, home: homeId }: z.infer<typeof options>): Promise<void> {
  const { terminal, signal } = context;
  const operator = await openOperator(context.dataDir, signal);
  try {
    const begun = await operator.bus.call(moving.moveHome, { to, ...(homeId === undefined ? {} : { homeId }) });
    const ended = await watch(context, operator, begun).catch((error: unknown) => {
      if (signal.aborted) terminal.warn('mqtt2go: the move goes on; mqtt2go home status tells how.');
      throw error;
    });
    if (ended.state === 'rolled-back') throw rolledBack(ended);
    const { bold, green } = terminal.colors;
    const tookMs = Date.parse(ended.changedAt) - Date.parse(ended.requestedAt);
    terminal.result({ event: 'moved', ...ended }, () =>
      [
        `${green('✓')} The home ${bold(ended.homeId)} is ${placeInWords(ended.to)} now, after ${duration(tookMs)}`,
        ...(ended.awaited === 0
          ? []
          : [`  ${count(ended.awaited, 'device')} did not answer; they find their home when they are on again.`]),
      ].join('\n'),
    );
  } finally {
    await operator.close();
  }
}

/** Shows a move until it has ended. */
async function watch({ terminal, signal }: Context, operator: Operator, begun: MoveView): Promise<MoveView> {
  const bar = terminal.showsProgress
    ? new SingleBar({
        stream: terminal.stderr,
        format: '  {bar} {value}/{total} devices are there  {what}',
        barsize: 28,
        barCompleteChar: '█',
        barIncompleteChar: '░',
        hideCursor: true,
        clearOnComplete: true,
      })
    : undefined;
  bar?.start(begun.devices, 0, { what: '' });
  let shown = '';
  try {
    for (let move = begun; ; ) {
      if (`${move.state} ${move.reason ?? ''}` !== shown) {
        shown = `${move.state} ${move.reason ?? ''}`;
        tell(terminal, move, bar !== undefined);
      }
      if (!moveRule(move.state).open) return move;
      const isTold = move.state === 'telling' && move.awaited > 0;
      bar?.update(isTold ? move.devices - move.awaited : 0, { what: move.state });
      await sleep(pollMs, undefined, { signal });
      move = await newest(operator, begun);
    }
  } finally {
    bar?.stop();
  }
}

/** While the gateway is started again the move waits, and so does who watches it. */
async function newest({ bus }: Operator, before: MoveView): Promise<MoveView> {
  try {
    return (await bus.call(moving.getHomeMove, { homeId: before.homeId })).move ?? before;
  } catch (error) {
    if (error instanceof Mqtt2goError && (error.code === 'unavailable' || error.code === 'timeout')) return before;
    throw error;
  }
}

function tell(terminal: Context['terminal'], move: MoveView, hasBar: boolean): void {
  const { dim, yellow } = terminal.colors;
  if (terminal.json) {
    terminal.result({ event: 'state', ...move }, () => '');
    return;
  }
  if (hasBar) return;
  const waits = move.reason === undefined ? '' : yellow(`  (${move.reason}: ${move.detail ?? ''})`);
  terminal.note(`  ${move.state.padEnd(13)} ${dim(moveRule(move.state).about)}${waits}`);
}

function rolledBack({ reason, detail, homeId, to }: MoveView): Mqtt2goError {
  const why = detail === undefined ? '' : ` ${detail}`;
  return new Mqtt2goError(
    isErrorCode(reason) ? reason : 'internal',
    `The move was undone, and the home ${homeId} is ${placeInWords(to === 'remote' ? 'local' : 'remote')} as before.${why}`,
  );
}
