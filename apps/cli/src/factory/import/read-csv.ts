import { Mqtt2goError } from '@mqtt2go/protocol';
import { type CsvRecord, CsvRecords } from './csv-records.js';
import { type ImportLine, toImportLine } from './import-line.js';
import { readLines } from './lines.js';

const required = ['device_id', 'activation_code', 'device_type'] as const;

/**
 * Reads CSV with a header: device_id, activation_code, device_type, and key_mode and public_key if there are any, in
 * any order; other columns are left out. A record's number is that of its first line.
 * @throws Mqtt2goError `malformed_message` when the header lacks a column
 */
export async function* readCsv(chunks: AsyncIterable<Buffer>): AsyncGenerator<ImportLine> {
  const records = new CsvRecords();
  let columns: readonly string[] | undefined;
  const read = function* (found: readonly CsvRecord[]): Generator<ImportLine> {
    for (const record of found) {
      if (columns === undefined) columns = headerOf(record);
      else if ('reason' in record) yield record;
      else yield readRow(record.line, columns, record.fields);
    }
  };
  for await (const line of readLines(chunks)) yield* read(records.push(line));
  yield* read(records.end());
  if (columns === undefined) headerOf({ line: 1, fields: [] });
}

function headerOf(record: CsvRecord): readonly string[] {
  const columns = 'fields' in record ? record.fields.map((name) => name.toLowerCase()) : [];
  const missing = required.filter((name) => !columns.includes(name));
  if (missing.length === 0) return columns;
  throw new Mqtt2goError(
    'malformed_message',
    `The first line has to name the columns; ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing. It may also name key_mode and public_key.`,
  );
}

function readRow(line: number, columns: readonly string[], fields: readonly string[]): ImportLine {
  if (fields.length !== columns.length) {
    return { line, reason: `${fields.length} fields, and the header has ${columns.length}` };
  }
  return toImportLine(line, Object.fromEntries(columns.map((name, at) => [name, fields[at]])));
}
