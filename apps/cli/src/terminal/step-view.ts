import { duration, shortenPem, wrap, wrapWords } from './layout.js';
import type { Terminal } from './terminal.js';

/** Something that happens. */
export interface ShownEvent {
  readonly who: 'app' | 'platform' | 'device';
  readonly direction: 'local' | 'in' | 'out';
  readonly what: string;
  readonly topic?: string;
  readonly message?: string;
}

/** One of the 13 steps of "Setup via WPS with Remote Broker", as it happens. */
export interface ShownStep extends ShownEvent {
  readonly step: number;
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
  show(step: ShownStep | ShownEvent): number {
    const nowMs = performance.now();
    const tookMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (this.#terminal.json) {
      const message = step.message === undefined ? undefined : shortenPem(step.message);
      this.#terminal.result(
        { event: 'step' in step ? 'step' : 'notice', ...step, message, ms: Math.round(tookMs * 10) / 10 },
        () => '',
      );
    } else {
      this.#terminal.note(this.#inWords(step, tookMs));
    }
    return tookMs;
  }

  #inWords(shown: ShownStep | ShownEvent, tookMs: number): string {
    const { who, direction, what, topic, message } = shown;
    const { bold, dim, cyan, green, magenta, yellow } = this.#terminal.colors;
    const dress = { app: cyan, platform: magenta, device: green }[who];
    const took = duration(tookMs).padStart(8);
    const number = ('step' in shown ? String(shown.step) : '').padStart(4);
    const head = `${number}  ${who.padEnd(8)} ${arrows[direction]} `;
    const [first = '', ...more] = wrapWords(what, lineWidth - head.length - took.length - 1);
    const gap = ' '.repeat(Math.max(1, lineWidth - head.length - first.length - took.length));
    const lines = [
      `${bold(number)}  ${dress(who.padEnd(8))} ${arrows[direction]} ${first}${gap}${dim(took)}`,
      ...more.map((line) => `${' '.repeat(head.length)}${line}`),
    ];
    if (topic !== undefined) lines.push(...wrap(topic, lineWidth - indent.length).map((line) => indent + yellow(line)));
    if (message !== undefined) {
      lines.push(...wrap(shortenPem(message), lineWidth - indent.length).map((line) => indent + dim(line)));
    }
    return lines.join('\n');
  }
}
