import { type ImportLine, toImportLine } from './import-line.js';

/** A record has a key of some hundred bytes; nothing that belongs here is longer. */
export const maxLineBytes = 64 * 1024;

/** Reads JSON Lines: one record a line; empty lines are passed over. What cannot be read is told and passed over too. */
export async function* readJsonl(chunks: AsyncIterable<Buffer>): AsyncGenerator<ImportLine> {
  let number = 0;
  for await (const line of lines(chunks)) {
    number++;
    if (line === undefined) {
      yield { line: number, reason: `longer than ${maxLineBytes} bytes` };
      continue;
    }
    const text = (number === 1 ? line.replace(/^\uFEFF/, '') : line).trim();
    if (text === '') continue;
    yield readLine(number, text);
  }
}

function readLine(number: number, text: string): ImportLine {
  try {
    return toImportLine(number, JSON.parse(text));
  } catch {
    return { line: number, reason: 'not JSON' };
  }
}

/** Lines without their ends; `undefined` for one that is too long, whose rest is never held in memory. */
async function* lines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string | undefined> {
  let parts: Buffer[] = [];
  let size = 0;
  const take = (part: Buffer): void => {
    size += part.length;
    if (size <= maxLineBytes) parts.push(part);
    else parts = [];
  };
  const finish = (): string | undefined => {
    const line = size > maxLineBytes ? undefined : Buffer.concat(parts).toString('utf8');
    parts = [];
    size = 0;
    return line;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      take(chunk.subarray(from, at));
      yield finish();
      from = at + 1;
    }
    take(chunk.subarray(from));
  }
  if (size > 0) yield finish();
}
