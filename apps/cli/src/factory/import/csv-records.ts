import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import { maxLineBytes, type NumberedLine } from './lines.js';

/** A record and the number of its first line, or why there is none. */
export type CsvRecord =
  | { readonly line: number; readonly fields: readonly string[] }
  | { readonly line: number; readonly reason: string };

/** A quoted field may go over lines, as a PEM does; one of RSA 8192 has 24. A quote that is open longer was never meant. */
const maxRecordLines = 40;

const rows = z.array(z.array(z.string()));

/**
 * Puts lines together to records (RFC 4180). A line that is broken is told and left out, and the reading goes on
 * with the line after it: a quote that is never closed costs one line and not the rest of the file.
 */
export class CsvRecords {
  /** Lines of a record whose quote is still open. */
  #open: NumberedLine[] = [];

  push(line: NumberedLine): CsvRecord[] {
    const records: CsvRecord[] = [];
    const queue = [line];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (this.#open.length === 0 && next.text?.trim() === '') continue;
      this.#open.push(next);
      const record = readRecord(this.#open);
      if (record === undefined) continue;
      const used = this.#open.splice(0);
      records.push(record);
      if ('reason' in record) queue.unshift(...used.slice(1));
    }
    return records;
  }

  /** What is left when there are no more lines. */
  end(): CsvRecord[] {
    const records: CsvRecord[] = [];
    for (let left = this.#open.splice(0); left[0] !== undefined; left = this.#open.splice(0)) {
      const [first, ...again] = left;
      records.push({ line: first.line, reason: 'a quote is not closed' }, ...again.flatMap((line) => this.push(line)));
    }
    return records;
  }
}

/** `undefined` while a quote is open and may still be closed. */
function readRecord(lines: readonly NumberedLine[]): CsvRecord | undefined {
  const line = lines[0]?.line ?? 0;
  const texts = lines.map(({ text }) => text);
  if (texts.includes(undefined)) return { line, reason: `longer than ${maxLineBytes} bytes` };
  const text = texts.join('\n');
  if (!text.includes('"')) return { line, fields: text.split(',').map((field) => field.trim()) };
  const quotes = text.split('"').length - 1;
  if (quotes % 2 === 1) {
    return lines.length < maxRecordLines ? undefined : { line, reason: 'a quote is not closed' };
  }
  try {
    const [fields, ...more] = rows.parse(parse(text, { trim: true, relax_column_count: true }));
    if (fields !== undefined && more.length === 0) return { line, fields };
  } catch {
    // Told below.
  }
  return { line, reason: 'a quote is at the wrong place' };
}
