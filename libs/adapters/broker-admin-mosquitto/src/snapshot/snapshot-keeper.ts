import { join } from 'node:path';
import type { Log } from '../log.js';
import { writeAtomically } from './write-atomically.js';

export const snapshotName = 'dynamic-security.json';

export interface SnapshotKeeperOptions {
  /** The folder that the broker reads. */
  readonly folder: string;
  readonly log: Log;
  /** Between the first change and the snapshot that has it. */
  readonly delayMs: number;
  /** Has a new snapshot written, from the truth. */
  readonly renew: () => Promise<void>;
}

/** Of the time that goes by, writing snapshots takes one part in so many. */
const share = 20;

/**
 * Has the file renewed from which the broker starts. It may be a little behind: after each start of the broker what
 * has changed since is told anyway.
 */
export class SnapshotKeeper {
  readonly #options: SnapshotKeeperOptions;
  #timer: NodeJS.Timeout | undefined;
  #lastTookMs = 0;
  #isClosed = false;

  constructor(options: SnapshotKeeperOptions) {
    this.#options = options;
  }

  /** Something has changed; a snapshot that has it is written before long. */
  changed(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    const { delayMs } = this.#options;
    this.#timer = setTimeout(() => void this.#renew(), Math.max(delayMs, this.#lastTookMs * share));
    this.#timer.unref();
  }

  async write(snapshot: string): Promise<void> {
    await writeAtomically(join(this.#options.folder, snapshotName), snapshot);
  }

  /** The broker acts by what it was told, with its snapshot or without: a failure is told and mended later. */
  async tryWrite(snapshot: string): Promise<void> {
    try {
      await this.write(snapshot);
    } catch (error) {
      this.#failed(error);
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #renew(): Promise<void> {
    const beganAtMs = performance.now();
    this.#timer = undefined;
    try {
      await this.#options.renew();
    } catch (error) {
      this.#failed(error);
    }
    this.#lastTookMs = performance.now() - beganAtMs;
  }

  #failed(error: unknown): void {
    this.#options.log.warn({ error }, 'the snapshot of the access copy could not be written');
    this.changed();
  }
}
