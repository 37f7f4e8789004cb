/** A record has a key of some hundred bytes; nothing that belongs in such a file is longer. */
export const maxLineBytes = 64 * 1024;

export interface NumberedLine {
  /** From 1. */
  readonly line: number;
  /** Without its end; `undefined` for one that is too long. */
  readonly text: string | undefined;
}

/** Lines of UTF-8, ended by LF or CRLF. The rest of a line that is too long is never held in memory. */
export async function* readLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<NumberedLine> {
  let line = 0;
  let parts: Buffer[] = [];
  let size = 0;
  const take = (part: Buffer): void => {
    size += part.length;
    if (size <= maxLineBytes) parts.push(part);
    else parts = [];
  };
  const finish = (): NumberedLine => {
    line++;
    const text = size > maxLineBytes ? undefined : textOf(parts, line === 1);
    parts = [];
    size = 0;
    return { line, text };
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

function textOf(parts: readonly Buffer[], isFirst: boolean): string {
  const text = (parts.length === 1 ? parts[0] : Buffer.concat(parts))?.toString('utf8') ?? '';
  const withoutMark = isFirst ? text.replace(/^\uFEFF/, '') : text;
  return withoutMark.endsWith('\r') ? withoutMark.slice(0, -1) : withoutMark;
}
