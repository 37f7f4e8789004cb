import pc from 'picocolors';

/** Where a command's words go, and in which dress. */
export interface TerminalOptions {
  readonly stdout: NodeJS.WritableStream & { isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly json?: boolean;
  readonly quiet?: boolean;
  /** False for `--no-color`. */
  readonly color?: boolean;
}

/**
 * What a command says: results on stdout (one JSON text a line with `--json`), everything else on stderr, colours
 * on a terminal only.
 */
export class Terminal {
  readonly json: boolean;
  readonly quiet: boolean;
  /** Somebody is looking. */
  readonly interactive: boolean;
  readonly colors: ReturnType<typeof pc.createColors>;
  readonly #options: TerminalOptions;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
    this.interactive = options.stdout.isTTY === true && !this.json;
    const { env } = options;
    const allowed = options.color !== false && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
    this.colors = pc.createColors(allowed && this.interactive);
  }

  /** True if a progress bar can be drawn, on stderr. */
  get showsProgress(): boolean {
    return this.#options.stderr.isTTY === true && !this.json && !this.quiet;
  }

  get stderr(): NodeJS.WritableStream {
    return this.#options.stderr;
  }

  /** The result of a command: as JSON, or in words for people (nothing of that with `--quiet`). */
  result(value: object, inWords: () => string): void {
    if (this.json) this.#options.stdout.write(`${JSON.stringify(value)}\n`);
    else if (!this.quiet) this.#options.stdout.write(`${inWords()}\n`);
  }

  /** Something on the way to the result that a person wants to see; nothing with `--json` or `--quiet`. */
  note(text: string): void {
    if (!this.json && !this.quiet) this.#options.stdout.write(`${text}\n`);
  }

  /** Something that a person has to see, on stderr. */
  warn(text: string): void {
    this.#options.stderr.write(`${text}\n`);
  }
}
