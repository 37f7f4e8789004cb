import Table from 'cli-table3';

/** One figure of a bench. */
export interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What is to be reached, in the same unit. */
  readonly aim?: string;
  readonly reached?: boolean;
}

/** A figure that should not be more than `aim`. */
export function atMost(what: string, value: number, unit: string, aim: number): Row {
  return { what, value, unit, aim: String(aim), reached: value <= aim };
}

/** A figure that should not be less than `aim`. */
export function atLeast(what: string, value: number, unit: string, aim: number): Row {
  return { what, value, unit, aim: String(aim), reached: value >= aim };
}

/** The value that the share `part` (0 to 1) of them does not exceed. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

export function tableOf(rows: readonly Row[]): string {
  const table = new Table({
    head: ['measured', 'value', '', 'aim', ''],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'left', 'right', 'left'],
  });
  for (const { what, value, unit, aim, reached } of rows)
    table.push([
      what,
      value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0),
      unit,
      aim ?? '',
      reached === undefined ? '' : reached ? 'reached' : 'missed',
    ]);
  return table.toString();
}
