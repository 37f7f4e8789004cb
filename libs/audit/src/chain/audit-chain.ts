import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { DataSource } from 'typeorm';
import { Gaps } from './gaps.js';
import { beginning, type HashedEntry, hashEntry, hashedColumns, sealOf } from './hashing.js';

export interface AuditChainOptions {
  readonly schema: string;
  readonly log: Logger;
  readonly registry?: Registry;
  /** With it, the end of each batch is sealed; see `sealKeyOf`. */
  readonly sealKey?: Uint8Array;
  /** How often entries are looked for; every 500 ms by default. */
  readonly intervalMs?: number;
}

interface Head {
  readonly position: number;
  readonly hash: Buffer;
  /** The highest number that is in the chain. */
  readonly seq: number;
}

const batchSize = 1_000;
/** How far below the newest number a start looks for entries that committed late. */
export const startWindow = 50_000;
const publishEveryMs = 60_000;
/** How often it is looked for them again while it runs: another process's may have been under way at the start. */
const lookBackEveryMs = 60_000;
/** Rounds that are left out after another process was faster: it is the one that does it. */
const restRounds = 4;
const uniqueViolation = '23505';
/** For whoever counts what a request asks of the database. */
const background = '/* background */';

/**
 * Makes a chain of the entries, within about a second of their commit and apart from it, so that no change waits for
 * another's. Entries are taken in the order in which they are seen to be committed. Any number of processes may try: the
 * links' primary key lets one have each place, and the others read anew.
 */
export class AuditChain {
  private readonly gaps = new Gaps();
  private readonly entries: Counter<'action'> | undefined;
  private head: Head | undefined;
  /** The head's, while it is read anew, too. */
  private position = 0;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private started = false;
  private failing = false;
  private resting = 0;
  private caughtUpAtMs = performance.now();
  private lookedBackAtMs = performance.now();
  private publishedPosition = 0;
  private publishedAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: AuditChainOptions,
  ) {
    const { registry } = options;
    if (registry === undefined) return;
    const registers = [registry];
    this.entries = new Counter({
      name: 'mqtt2go_audit_entries_total',
      help: 'Entries of the audit log that this process has put into the chain, by action.',
      labelNames: ['action'],
      registers,
    });
    const position = () => this.position;
    const lagSeconds = () => (this.resting > 0 ? 0 : (performance.now() - this.caughtUpAtMs) / 1_000);
    new Gauge({
      name: 'mqtt2go_audit_chain_position',
      help: 'Entries in the chain of the audit log. It never gets smaller, unless somebody has cut it.',
      registers,
      collect() {
        this.set(position());
      },
    });
    new Gauge({
      name: 'mqtt2go_audit_chain_lag_seconds',
      help: 'Time since every committed entry of the audit log was in the chain.',
      registers,
      collect() {
        this.set(lagSeconds());
      },
    });
  }

  start(): void {
    this.started = true;
    this.schedule();
  }

  /** Links what is there, once more, and ends. */
  async stop(): Promise<void> {
    this.started = false;
    clearTimeout(this.timer);
    await this.running;
    this.resting = 0;
    await this.round();
    this.publish(true);
  }

  /** Links all that is committed now. Returns how many entries that were, of those that this process got. */
  async link(): Promise<number> {
    let linked = 0;
    for (;;) {
      const count = await this.linkBatch();
      if (count === undefined) continue;
      linked += count;
      if (count < batchSize) return linked;
    }
  }

  private schedule(): void {
    this.timer = setTimeout(() => {
      this.running = this.round().then(() => {
        if (this.started) this.schedule();
      });
    }, this.options.intervalMs ?? 500);
  }

  /** Never rejects. */
  private async round(): Promise<void> {
    if (this.resting > 0) {
      this.resting -= 1;
      return;
    }
    const { log, schema } = this.options;
    if (performance.now() - this.lookedBackAtMs > lookBackEveryMs) {
      this.lookedBackAtMs = performance.now();
      this.head = undefined;
    }
    try {
      for (;;) {
        const count = await this.linkBatch();
        if (count === undefined) {
          this.resting = restRounds;
          return;
        }
        if (count < batchSize) break;
      }
      this.caughtUpAtMs = performance.now();
      if (this.failing) log.info({ schema }, 'the audit log is chained again');
      this.failing = false;
      this.publish(false);
    } catch (error) {
      if (!this.failing) log.warn({ err: error, schema }, 'the audit log could not be chained; trying again');
      this.failing = true;
      this.head = undefined;
    }
  }

  /** Links a batch; undefined when another process was faster. */
  private async linkBatch(): Promise<number | undefined> {
    const { schema, sealKey } = this.options;
    const isStart = this.head === undefined;
    const head = this.head ?? (await this.readHead());
    const found = isStart ? await this.findAtStart(head) : await this.findNew(head);
    this.head = head;
    this.position = head.position;
    if (found.length === 0) return 0;
    const links: { position: number; entry: HashedEntry; hash: Buffer }[] = [];
    let { hash, position } = head;
    for (const entry of found) {
      position += 1;
      hash = hashEntry(schema, hash, position, entry);
      links.push({ position, entry, hash });
    }
    try {
      await this.dataSource.query(
        `${background} INSERT INTO ${schema}.audit_link (position, seq, hash, seal)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[])`,
        [
          links.map((link) => link.position),
          links.map((link) => link.entry.seq),
          links.map((link) => link.hash),
          links.map((link) =>
            sealKey !== undefined && link.position === position ? sealOf(sealKey, schema, position, hash) : null,
          ),
        ],
      );
    } catch (error) {
      this.head = undefined;
      if (isTaken(error)) return undefined;
      throw error;
    }
    const numbers = found.map((entry) => Number(entry.seq));
    const fresh = numbers.filter((number) => number > head.seq);
    for (const number of numbers) this.gaps.filled(number);
    this.gaps.note(isStart ? (fresh[0] ?? 1) - 1 : head.seq, fresh, performance.now());
    this.head = { position, hash, seq: Math.max(head.seq, numbers.at(-1) ?? 0) };
    this.position = position;
    for (const { action } of found) this.entries?.inc({ action });
    return found.length;
  }

  private async readHead(): Promise<Head> {
    const { schema } = this.options;
    const [row] = await this.dataSource.query<{ position: string; hash: Buffer; seq: string }[]>(
      `${background} SELECT position, hash, (SELECT max(seq) FROM ${schema}.audit_link) AS seq
       FROM ${schema}.audit_link ORDER BY position DESC LIMIT 1`,
    );
    if (row === undefined) return { position: 0, hash: beginning, seq: 0 };
    return { position: Number(row.position), hash: row.hash, seq: Number(row.seq) };
  }

  private findAtStart({ seq }: Head): Promise<HashedEntry[]> {
    const { schema } = this.options;
    return this.dataSource.query<HashedEntry[]>(
      `${background} SELECT ${hashedColumns} FROM ${schema}.audit_entry e
       WHERE e.seq > $1 AND NOT EXISTS (SELECT 1 FROM ${schema}.audit_link l WHERE l.seq = e.seq)
       ORDER BY e.seq LIMIT ${batchSize}`,
      [Math.max(0, seq - startWindow)],
    );
  }

  private async findNew({ seq }: Head): Promise<HashedEntry[]> {
    const { schema } = this.options;
    const rows = await this.dataSource.query<HashedEntry[]>(
      `${background} (SELECT ${hashedColumns} FROM ${schema}.audit_entry e WHERE e.seq = ANY($2::bigint[]))
       UNION ALL
       (SELECT ${hashedColumns} FROM ${schema}.audit_entry e WHERE e.seq > $1 ORDER BY e.seq LIMIT ${batchSize})`,
      [seq, this.gaps.numbers],
    );
    return rows.toSorted((one, other) => Number(one.seq) - Number(other.seq));
  }

  /**
   * Tells the head to the log, which is kept elsewhere: a chain that ends before it, or has another hash at its place, was
   * cut or rewritten.
   */
  private publish(atOnce: boolean): void {
    const { head } = this;
    const nowMs = performance.now();
    if (head === undefined || head.position === this.publishedPosition) return;
    if (!atOnce && nowMs - this.publishedAtMs < publishEveryMs) return;
    this.publishedPosition = head.position;
    this.publishedAtMs = nowMs;
    const { log, schema } = this.options;
    log.info({ schema, position: head.position, hash: head.hash.toString('hex') }, 'head of the audit log');
  }
}

/** TypeORM's error has the driver's code. */
function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === uniqueViolation;
}
