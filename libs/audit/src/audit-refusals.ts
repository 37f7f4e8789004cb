import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import { type AuditEntry, writeAudit } from './audit-entry.js';

export interface AuditRefusalsOptions {
  readonly schema: string;
  readonly log: Logger;
  /** How often they are written; every second by default. */
  readonly intervalMs?: number;
  /** How long the same refusal is counted before it is written again; a minute by default. */
  readonly countedForMs?: number;
}

interface Counted {
  readonly entry: AuditEntry;
  times: number;
  dueAtMs: number;
}

/** Different refusals in memory; beyond it they are counted together. */
const capacity = 2_000;
/** Rows that one round writes. */
const perRound = 100;

/**
 * What was refused changes nothing, and so needs no transaction, and nobody waits until it is written down. A refusal that
 * is repeated is written at once and then once a minute, with how often it happened: whoever hammers the platform fills
 * neither its memory nor its disk.
 */
export class AuditRefusals {
  private readonly counted = new Map<string, Counted>();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private started = false;

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: AuditRefusalsOptions,
  ) {}

  /** Returns at once. */
  note(entry: AuditEntry): void {
    const key = JSON.stringify([entry.action, entry.actor, entry.deviceId, entry.homeId, entry.outcome]);
    const isNew = !this.counted.has(key);
    const kept = isNew && this.counted.size >= capacity ? othersOf(entry) : { key, entry };
    const counted = this.counted.get(kept.key) ?? { entry: kept.entry, times: 0, dueAtMs: 0 };
    counted.times += 1;
    this.counted.set(kept.key, counted);
  }

  start(): void {
    this.started = true;
    this.schedule();
  }

  /** Writes what is there, and ends. */
  async stop(): Promise<void> {
    this.started = false;
    clearTimeout(this.timer);
    await this.running;
    await this.flush(true);
  }

  /** Writes what is due. Never rejects. */
  async flush(all = false): Promise<void> {
    const nowMs = performance.now();
    const due: Counted[] = [];
    for (const [key, counted] of this.counted) {
      if (!all && counted.dueAtMs > nowMs) continue;
      if (counted.times === 0) this.counted.delete(key);
      else if (all || due.length < perRound) due.push(counted);
    }
    if (due.length === 0) return;
    const rows = due.map(({ entry, times }) => ({ ...entry, details: { ...entry.details, times } }));
    const { schema, log, countedForMs = 60_000 } = this.options;
    try {
      await writeAudit(this.dataSource, schema, rows);
      for (const [index, counted] of due.entries()) {
        counted.times -= rows[index]?.details.times ?? 0;
        counted.dueAtMs = nowMs + countedForMs;
      }
    } catch (error) {
      log.warn({ err: error, schema, refusals: due.length }, 'refusals could not be written to the audit log yet');
    }
  }

  private schedule(): void {
    this.timer = setTimeout(() => {
      this.running = this.flush().then(() => {
        if (this.started) this.schedule();
      });
    }, this.options.intervalMs ?? 1_000);
  }
}

function othersOf({ action, outcome }: AuditEntry): { key: string; entry: AuditEntry } {
  const actor = { kind: 'system', id: 'many' } as const;
  return { key: `others ${action} ${outcome ?? ''}`, entry: { actor, action, outcome, details: { summed: true } } };
}
