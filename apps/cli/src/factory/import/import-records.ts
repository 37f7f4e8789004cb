import type { FactoryRecord } from '@mqtt2go/messaging';
import type { ImportLine } from './import-line.js';

export interface RejectedLine {
  readonly line: number;
  readonly reason: string;
  readonly deviceId?: string;
}

/** What a batch came to; batches are told in the order of the file. */
export interface ImportedBatch {
  /** All lines up to this one are dealt with. */
  readonly line: number;
  readonly imported: number;
  readonly rejected: readonly RejectedLine[];
}

export interface ImportOptions {
  /** Lines up to this one were dealt with earlier. */
  readonly afterLine: number;
  /** Sends one batch; gives the places of those that were not taken, with the reason. */
  readonly send: (records: readonly FactoryRecord[]) => Promise<readonly { index: number; reason: string }[]>;
  readonly onBatch: (batch: ImportedBatch) => Promise<void>;
  readonly signal: AbortSignal;
  readonly batchSize?: number;
  /** Batches on their way at once. */
  readonly inFlight?: number;
}

interface Batch {
  readonly records: { readonly line: number; readonly record: FactoryRecord }[];
  readonly rejected: RejectedLine[];
  line: number;
}

/**
 * Sends all records in batches, a few at once. A batch that fails ends it, after those before it have been told; they
 * can be sent again without harm.
 * @throws whatever `send` throws, or the reason of `signal`
 */
export async function importRecords(lines: AsyncIterable<ImportLine>, options: ImportOptions): Promise<void> {
  const { afterLine, send, onBatch, signal, batchSize = 1_000, inFlight = 3 } = options;
  const sent: Promise<ImportedBatch>[] = [];
  const dispatch = (batch: Batch): void => {
    const work = sendBatch(batch, send);
    // Its turn comes later; until then a failure is not unhandled.
    work.catch(() => undefined);
    sent.push(work);
  };
  const settleOldest = async (): Promise<void> => {
    const oldest = sent.shift();
    if (oldest !== undefined) await onBatch(await oldest);
  };
  let batch = emptyBatch();
  for await (const line of lines) {
    signal.throwIfAborted();
    if (line.line <= afterLine) continue;
    batch.line = line.line;
    if ('record' in line) batch.records.push(line);
    else batch.rejected.push(line);
    if (batch.records.length < batchSize && batch.rejected.length < batchSize) continue;
    dispatch(batch);
    batch = emptyBatch();
    while (sent.length >= inFlight) await settleOldest();
  }
  if (batch.line > 0) dispatch(batch);
  while (sent.length > 0) await settleOldest();
}

function emptyBatch(): Batch {
  return { records: [], rejected: [], line: 0 };
}

async function sendBatch({ records, rejected, line }: Batch, send: ImportOptions['send']): Promise<ImportedBatch> {
  const refused = records.length === 0 ? [] : await send(records.map(({ record }) => record));
  const late = refused.flatMap(({ index, reason }): RejectedLine[] => {
    const at = records[index];
    return at === undefined ? [] : [{ line: at.line, reason, deviceId: at.record.device_id }];
  });
  const all = [...rejected, ...late].sort((a, b) => a.line - b.line);
  return { line, imported: records.length - late.length, rejected: all };
}
