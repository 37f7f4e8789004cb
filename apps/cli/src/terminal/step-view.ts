import { duration, shortenPem, wrap } from './layout.js';
import type { Terminal } from './terminal.js';

/** One of the 13 steps of "Setup via WPS with Remote Broker", as it happens. */
export interface ShownStep {
  readonly step: number;
  readonly who: 'app' | 'platform' | 'device';
  readonly direction: 'local' | 'in' | 'out';
  readonly what: string;
  readonly topic?: string;
  readonly message?: string;
}

const arrows = { local: '·', in: '←', out: '→' } as const;
const lineWidth = 78;
const indent = '      ';

/** Shows steps under each other, 80 columns wide, with the time since the one before. */
export class StepView {
  readonly #terminal: Terminal;
  #lastMs = performance.now();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** @returns milliseconds since the step before */
  show(step: ShownStep): number {
    const nowMs = performance.now();
    const tookMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (this.#terminal.json) {
      const message = step.message === undefined ? undefined : shortenPem(step.message);
      this.#terminal.result({ event: 'step', ...step, message, ms: Math.round(tookMs * 10) / 10 }, () => '');
    } else {
      this.#terminal.note(this.#inWords(step, tookMs));
    }
    return tookMs;
  }

  #inWords({ step, who, direction, what, topic, message }: ShownStep, tookMs: number): string {
    const { bold, dim, cyan, green, magenta, yellow } = this.#terminal.colors;
    const dress = { app: cyan, platform: magenta, device: green }[who];
    const took = duration(tookMs).padStart(8);
    const head = `${String(step).padStart(4)}  ${who.padEnd(8)} ${arrows[direction]} `;
    const [first = '', ...more] = wrapWords(what, lineWidth - head.length - took.length - 1);
    const gap = ' '.repeat(Math.max(1, lineWidth - head.length - first.length - took.length));
    const lines = [
      `${bold(String(step).padStart(4))}  ${dress(who.padEnd(8))} ${arrows[direction]} ${first}${gap}${dim(took)}`,
      ...more.map((line) => `${' '.repeat(head.length)}${line}`),
    ];
    if (topic !== undefined) lines.push(...wrap(topic, lineWidth - indent.length).map((line) => indent + yellow(line)));
    if (message !== undefined) {
      lines.push(...wrap(shortenPem(message), lineWidth - indent.length).map((line) => indent + dim(line)));
    }
    return lines.join('\n');
  }
}

function wrapWords(text: string, width: number): string[] {
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
