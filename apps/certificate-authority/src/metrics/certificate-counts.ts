import type { Clock } from '@mqtt2go/ports';
import { Gauge, type Registry } from 'prom-client';
import type { DataSource } from 'typeorm';

/** How long before its end a certificate counts as expiring. */
const soonMs = 30 * 24 * 3_600_000;
/** Counting a million takes a tenth of a second, out of the index: not for each look of a collector. */
const freshMs = 5 * 60_000;

const states = ['active', 'expiring', 'expired', 'revoked'] as const;
type Counts = Readonly<Record<(typeof states)[number], string>>;

/** How many device certificates there are, by state. */
export class CertificateCounts {
  private counts: Counts | undefined;
  private countedAtMs = Number.NEGATIVE_INFINITY;
  private counting: Promise<void> | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly clock: Clock,
  ) {}

  register(registry: Registry): void {
    const current = () => this.current();
    new Gauge({
      name: 'mqtt2go_certificates',
      help: 'Device certificates by state: active, expiring within 30 days, expired, revoked. Counted every 5 minutes.',
      labelNames: ['state'],
      registers: [registry],
      async collect() {
        const counts = await current();
        if (counts !== undefined) for (const state of states) this.set({ state }, Number(counts[state]));
      },
    });
  }

  /** At most 5 minutes old while somebody asks; undefined until there is a database. */
  private async current(): Promise<Counts | undefined> {
    if (performance.now() - this.countedAtMs > freshMs) {
      this.counting ??= this.count().finally(() => {
        this.counting = undefined;
      });
    }
    // Only the first one waits.
    if (this.counts === undefined) await this.counting;
    return this.counts;
  }

  private async count(): Promise<void> {
    const nowMs = this.clock.now();
    const [row] = await this.dataSource
      .query<Counts[]>(countStates, [new Date(nowMs), new Date(nowMs + soonMs)])
      .catch((): Counts[] => []);
    if (row === undefined) return;
    this.counts = row;
    this.countedAtMs = performance.now();
  }
}

const countStates = `/* background */
  SELECT count(*) FILTER (WHERE revoked_at IS NULL AND not_after > $2) AS active,
    count(*) FILTER (WHERE revoked_at IS NULL AND not_after > $1 AND not_after <= $2) AS expiring,
    count(*) FILTER (WHERE revoked_at IS NULL AND not_after <= $1) AS expired,
    count(*) FILTER (WHERE revoked_at IS NOT NULL) AS revoked
  FROM device_certificate`;
