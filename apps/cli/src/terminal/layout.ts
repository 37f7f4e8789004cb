/** Names and values under each other: the names dressed by `dress`, the values aligned. */
export function pairs(rows: readonly (readonly [string, string])[], dress: (name: string) => string): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${dress(name.padEnd(width))}  ${value}`).join('\n');
}

const pem = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----(\\n|\n)*/g;

/** Text of a message with its PEM blocks put short: `<CERTIFICATE 812 bytes>`. */
export function shortenPem(text: string): string {
  return text.replaceAll(pem, (block, label: string) => `<${label} ${block.length} bytes>`);
}

/** Breaks a long text without blanks, such as JSON, into lines of at most `width`, after a comma or brace if there is one. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const head = rest.slice(0, width);
    const at = Math.max(head.lastIndexOf(','), head.lastIndexOf('{'), head.lastIndexOf(' '));
    const end = at < width / 2 ? width : at + 1;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  lines.push(rest);
  return lines;
}

/** Breaks a text between words into lines of at most `width`, where the words allow it. */
export function wrapWords(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** `12 ms`, `1.24 s`. */
export function duration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(2)} s`;
}

/** `1 device`, `2 devices`. */
export function count(n: number, noun: string): string {
  return `${n.toLocaleString('en-US')} ${noun}${n === 1 ? '' : 's'}`;
}
