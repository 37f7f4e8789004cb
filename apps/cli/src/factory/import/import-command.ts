import { provisioning } from '@mqtt2go/messaging';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { createReadStream } from 'node:fs';
import { appendFile, rm, stat } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { z } from 'zod';
import { openOperator, type Operator } from '../../platform/operator.js';
import type { Context } from '../../terminal/context.js';
import { count, duration } from '../../terminal/layout.js';
import type { ImportLine } from './import-line.js';
import { type ImportedBatch, importRecords } from './import-records.js';
import { ImportStateFile } from './import-state.js';
import { readCsv } from './read-csv.js';
import { readJsonl } from './read-jsonl.js';

const options = z.object({ strict: z.boolean().default(false) });
/** So many bad lines are shown; all are in the file. */
const shownLines = 10;
const batchTimeoutMs = 60_000;

export function importCommand(
  command: Command,
  run: (action: (context: Context, options: unknown, file: string) => Promise<void>) => void,
): void {
  command
    .description('put the records of a .csv or .jsonl file into the factory registry')
    .argument('<file>', 'records: device_id, activation_code, device_type[, key_mode, public_key]')
    .option('--strict', 'exit with 1 if any line was left out', false)
    .addHelpText(
      'after',
      `
A CSV file names its columns in the first line; a JSON Lines file has one object
on each line. public_key is a PEM SubjectPublicKeyInfo, needed in the key mode
existing-key; without key_mode and public_key a record is for server-key.

Bad lines are told with their number, left out, and listed in
FILE.rejected.jsonl; the rest is in, and the exit code is 0 if anything was.
An interrupted import goes on where it ended when it is given the same file
again. To import a record that is there already changes nothing.

Example:
  $ npx mqtt2go factory import batch-7.csv`,
    );
  run((context, given, file) => importFile(context, options.parse(given), resolve(file)));
}

async function importFile(context: Context, { strict }: z.infer<typeof options>, file: string): Promise<void> {
  const read = readerOf(file);
  const { size } = await statOf(file);
  const operator = await openOperator(context.dataDir, context.signal);
  try {
    const { imported, rejected } = await runImport(context, operator, { file, size, read });
    if (rejected > 0 && (strict || imported === 0)) {
      throw new Mqtt2goError(
        'malformed_message',
        `${count(rejected, 'line')} of ${file} ${rejected === 1 ? 'was' : 'were'} left out.`,
      );
    }
  } finally {
    await operator.close();
  }
}

interface Source {
  readonly file: string;
  readonly size: number;
  readonly read: (chunks: AsyncIterable<Buffer>) => AsyncIterable<ImportLine>;
}

async function runImport(
  { terminal, signal }: Context,
  operator: Operator,
  { file, size, read }: Source,
): Promise<{ imported: number; rejected: number }> {
  const stateFile = await ImportStateFile.open(file, operator.ca);
  const earlier = await stateFile.read();
  const rejectedFile = `${file}.rejected.jsonl`;
  if (earlier === undefined) await rm(rejectedFile, { force: true });
  else terminal.note(`Goes on after line ${earlier.line.toLocaleString('en-US')}.`);

  let { imported, rejected } = earlier ?? { imported: 0, rejected: 0 };
  let shown = 0;
  let bytes = 0;
  const startedMs = performance.now();
  const bar = terminal.showsProgress ? progressBar(terminal.stderr, size) : undefined;
  const onBatch = async (batch: ImportedBatch): Promise<void> => {
    imported += batch.imported;
    rejected += batch.rejected.length;
    for (const bad of batch.rejected) {
      if (shown++ < shownLines)
        terminal.warn(`${bar === undefined ? '' : '\r\u001B[K'}line ${bad.line}: ${bad.reason}`);
    }
    if (batch.rejected.length > 0) {
      const lines = batch.rejected.map(({ line, reason, deviceId }) =>
        JSON.stringify({ line, device_id: deviceId, reason }),
      );
      await appendFile(rejectedFile, `${lines.join('\n')}\n`);
    }
    await stateFile.write({ line: batch.line, imported, rejected });
    bar?.update(Math.min(bytes, size), { records: imported.toLocaleString('en-US') });
  };
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 })) {
      const buffer = z.instanceof(Buffer).parse(chunk);
      bytes += buffer.length;
      yield buffer;
    }
  };
  try {
    await importRecords(read(counted()), {
      afterLine: earlier?.line ?? 0,
      signal,
      onBatch,
      send: async (records) =>
        (
          await operator.bus.call(
            provisioning.importFactoryRecords,
            { records: [...records] },
            { timeoutMs: batchTimeoutMs },
          )
        ).rejected,
    });
    bar?.update(size);
  } catch (error) {
    const go = `${imported.toLocaleString('en-US')} records are in; the same command goes on from here.`;
    if (error instanceof Mqtt2goError && error.code !== 'malformed_message') {
      throw new Mqtt2goError(error.code, `${error.message} ${go}`, { cause: error });
    }
    if (signal.aborted) terminal.warn(`Interrupted. ${go}`);
    throw error;
  } finally {
    bar?.stop();
  }
  await stateFile.remove();
  const ms = performance.now() - startedMs;
  terminal.result(
    {
      file,
      imported,
      rejected,
      rejected_file: rejected > 0 ? rejectedFile : undefined,
      seconds: Math.round(ms) / 1_000,
    },
    () => {
      const { green, yellow } = terminal.colors;
      const lines = [`${green('✓')} ${count(imported, 'record')} imported in ${duration(ms)}`];
      if (rejected > 0) lines.push(`${yellow('!')} ${count(rejected, 'line')} left out, see ${rejectedFile}`);
      return lines.join('\n');
    },
  );
  return { imported, rejected };
}

function readerOf(file: string): Source['read'] {
  switch (extname(file).toLowerCase()) {
    case '.csv':
      return readCsv;
    case '.jsonl':
    case '.ndjson':
      return readJsonl;
    default:
      throw new Mqtt2goError('malformed_message', `${file} is neither a .csv nor a .jsonl file.`);
  }
}

async function statOf(file: string): Promise<{ size: number }> {
  try {
    const found = await stat(file);
    if (found.isFile()) return found;
  } catch {
    // Told below.
  }
  throw new Mqtt2goError('configuration_invalid', `${file} is not a file that can be read.`);
}

function progressBar(stream: NodeJS.WritableStream, size: number): SingleBar {
  const bar = new SingleBar({
    stream,
    format: '  {bar} {percentage}%  {records} records  {eta_formatted} left',
    barsize: 28,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    etaBuffer: 50,
  });
  bar.start(size, 0, { records: '0' });
  return bar;
}
