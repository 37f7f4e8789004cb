import type { Clock } from '@mqtt2go/ports';

const periodMs = 1_000;

/** Remembers until when principals are good: the plugin does not know the time. */
export class Expiry {
  readonly #endsAtMs = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(
    private readonly clock: Clock,
    private readonly onEnd: (name: string) => void,
  ) {
    this.#timer = setInterval(() => this.#sweep(), periodMs);
    this.#timer.unref();
  }

  set(name: string, endsAtMs: number | undefined): void {
    if (endsAtMs === undefined) this.#endsAtMs.delete(name);
    else this.#endsAtMs.set(name, endsAtMs);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const nowMs = this.clock.now();
    for (const [name, endsAtMs] of this.#endsAtMs) {
      if (endsAtMs > nowMs) continue;
      this.#endsAtMs.delete(name);
      this.onEnd(name);
    }
  }
}
