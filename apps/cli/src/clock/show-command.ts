import { readLastKnownTime } from '@mqtt2go/config';
import type { Command } from 'commander';
import type { Context } from '../terminal/context.js';
import { pairs } from '../terminal/layout.js';

export function showClockCommand(command: Command, run: (action: (context: Context) => Promise<void>) => void): void {
  command.description("the system's time, and the last that the platform has stored");
  run(show);
}

async function show({ terminal, dataDir }: Context): Promise<void> {
  const storedMs = await readLastKnownTime(dataDir);
  const nowMs = Date.now();
  const lastKnown = storedMs === undefined ? null : new Date(storedMs).toISOString();
  const system = new Date(nowMs).toISOString();
  const isBehind = storedMs !== undefined && storedMs > nowMs;
  terminal.result({ system, lastKnown, isBehind }, () =>
    [
      pairs(
        [
          ['System', system],
          ['Last known', lastKnown ?? 'none'],
        ],
        terminal.colors.dim,
      ),
      ...(isBehind
        ? [
            "The system's clock is behind: the platform goes on from the last known time. If that one is wrong, see mqtt2go clock reset.",
          ]
        : []),
    ].join('\n'),
  );
}
