import { Mqtt2goError } from '@mqtt2go/protocol';
import { type CsvError, parse } from 'csv-parse';
import { PassThrough, pipeline } from 'node:stream';
import { z } from 'zod';
import { type ImportLine, toImportLine } from './import-line.js';
import { maxLineBytes } from './read-jsonl.js';

const required = ['device_id', 'activation_code', 'device_type'] as const;
const row = z.object({ record: z.array(z.string()), info: z.object({ lines: z.int() }) });

/**
 * Reads CSV (RFC 4180) with a header: device_id, activation_code, device_type, and key_mode and public_key if there
 * are any, in any order; other columns are left out. A record's number is that of its last line.
 * @throws Mqtt2goError `malformed_message` when the header lacks a column
 */
export async function* readCsv(chunks: AsyncIterable<Buffer>): AsyncGenerator<ImportLine> {
  const broken: ImportLine[] = [];
  const parser = parse({
    bom: true,
    trim: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    max_record_size: maxLineBytes,
    on_skip: (error: CsvError | undefined) => {
      broken.push({ line: lineOf(error), reason: `not CSV: ${error?.message ?? 'cannot be read'}` });
    },
  });
  const source = pipeline(chunks, new PassThrough(), () => undefined);
  source.on('error', (error) => parser.destroy(error));
  source.pipe(parser);
  let columns: readonly string[] | undefined;
  try {
    for await (const item of parser) {
      const { record, info } = row.parse(item);
      if (columns === undefined) {
        columns = headerOf(record);
        continue;
      }
      // The parser runs ahead: whoever goes on after a line number relies on their order.
      while (broken[0] !== undefined && broken[0].line < info.lines) yield* broken.splice(0, 1);
      yield readRow(info.lines, columns, record);
    }
  } catch (error) {
    if (!isCsvError(error)) throw error;
    // A quote that is never closed: what stood before it is in.
    broken.push({ line: lineOf(error), reason: `not CSV: ${error.message}` });
  }
  yield* broken;
  if (columns === undefined) headerOf([]);
}

function headerOf(record: readonly string[]): readonly string[] {
  const columns = record.map((name) => name.toLowerCase());
  const missing = required.filter((name) => !columns.includes(name));
  if (missing.length === 0) return columns;
  throw new Mqtt2goError(
    'malformed_message',
    `The first line has to name the columns; ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing. It may also name key_mode and public_key.`,
  );
}

function readRow(line: number, columns: readonly string[], record: readonly string[]): ImportLine {
  if (record.length !== columns.length) {
    return { line, reason: `${record.length} fields, and the header has ${columns.length}` };
  }
  return toImportLine(line, Object.fromEntries(columns.map((name, at) => [name, record[at]])));
}

function isCsvError(error: unknown): error is CsvError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('CSV_');
}

function lineOf(error: CsvError | undefined): number {
  const lines: unknown = error === undefined ? undefined : Reflect.get(error, 'lines');
  return typeof lines === 'number' ? lines : 0;
}
