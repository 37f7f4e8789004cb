import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';

const folder = resolve(import.meta.dirname, '../../../../../.bench');

export interface Recovery {
  readonly fault: string;
  /** Devices added from just before the fault until it was over and all were done. */
  readonly added: number;
  /** Refusals with a code on the way, each followed by another try. */
  readonly refusals: readonly string[];
  /** From the end of the fault to the first device that was then added; milliseconds. */
  readonly firstMs: number;
  /** From the end of the fault until all that were being added at that moment were there; milliseconds. */
  readonly allMs: number;
}

/** A line for each fault. */
export function recoveryTable(rows: readonly Recovery[]): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`.padStart(9);
  const width = Math.max(...rows.map(({ fault }) => fault.length));
  return [
    `${'fault'.padEnd(width)}${'added'.padStart(7)}${'first'.padStart(9)}${'all'.padStart(9)}  refusals`,
    ...rows.map(
      ({ fault, added, firstMs, allMs, refusals }) =>
        `${fault.padEnd(width)}${String(added).padStart(7)}${seconds(firstMs)}${seconds(allMs)}  ${counted(refusals)}`,
    ),
  ].join('\n');
}

export async function writeRecoveries(rows: readonly Recovery[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(resolve(folder, 'faults.json'), `${JSON.stringify(rows, undefined, 2)}\n`);
}

function counted(codes: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const code of codes) counts.set(code, (counts.get(code) ?? 0) + 1);
  return [...counts].map(([code, count]) => `${count} ${code}`).join(', ');
}
