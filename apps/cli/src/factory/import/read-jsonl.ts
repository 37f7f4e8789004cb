import { type ImportLine, toImportLine } from './import-line.js';
import { maxLineBytes, readLines } from './lines.js';

/** Reads JSON Lines: one record a line; empty lines are passed over. What cannot be read is told and passed over too. */
export async function* readJsonl(chunks: AsyncIterable<Buffer>): AsyncGenerator<ImportLine> {
  for await (const { line, text } of readLines(chunks)) {
    if (text === undefined) yield { line, reason: `longer than ${maxLineBytes} bytes` };
    else if (text.trim() !== '') yield readLine(line, text);
  }
}

function readLine(line: number, text: string): ImportLine {
  try {
    return toImportLine(line, JSON.parse(text));
  } catch {
    return { line, reason: 'not JSON' };
  }
}
