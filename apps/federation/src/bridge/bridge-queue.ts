import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';

export interface BridgeMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

export interface QueuedMessage extends BridgeMessage {
  /** Grows with the order in which messages were added. */
  readonly id: string;
}

export interface BridgeQueueLimits {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

const defaultLimits: BridgeQueueLimits = { maxMessages: 10_000, maxBytes: 32 * 1024 * 1024 };
/** Of one statement. */
const batchSize = 200;

/**
 * What waits for the cloud, in the gateway's database: a message that was added is there after a power cut. What comes while
 * a statement is under way goes into the next one. When it is full, the oldest go.
 */
export class BridgeQueue {
  private pending: BridgeMessage[] = [];
  private writing: Promise<void> | undefined;
  private messages = 0;
  private bytes = 0;
  private droppedCount = 0;

  private constructor(
    private readonly dataSource: DataSource,
    private readonly log: Logger,
    private readonly limits: BridgeQueueLimits,
  ) {}

  static async open(
    dataSource: DataSource,
    log: Logger,
    limits: Partial<BridgeQueueLimits> = {},
  ): Promise<BridgeQueue> {
    const queue = new BridgeQueue(dataSource, log, { ...defaultLimits, ...limits });
    const [row] = await dataSource.query<{ messages: string; bytes: string | null }[]>(
      'SELECT count(*) AS messages, sum(length(payload) + length(topic)) AS bytes FROM federation.bridge_message',
    );
    queue.messages = Number(row?.messages ?? 0);
    queue.bytes = Number(row?.bytes ?? 0);
    return queue;
  }

  /** Those that are stored. */
  get size(): number {
    return this.messages;
  }

  /** Those that are being stored. */
  get unstored(): number {
    return this.pending.length;
  }

  /** Given up because the queue was full, since the start. */
  get dropped(): number {
    return this.droppedCount;
  }

  /** Resolves when the message is stored. Messages keep the order in which this is called. */
  async add(message: BridgeMessage): Promise<void> {
    // Without a database there is a bound, too.
    if (this.pending.length >= this.limits.maxMessages) {
      this.pending.splice(batchSize, 1);
      this.droppedCount += 1;
    }
    this.pending.push(message);
    await this.until(message);
  }

  /** Each round stores what was there when it began. */
  private async until(message: BridgeMessage): Promise<void> {
    while (this.pending.includes(message)) {
      this.writing ??= this.write().finally(() => {
        this.writing = undefined;
      });
      await this.writing;
    }
  }

  /** Resolves when what was added is stored, or cannot be. */
  async stored(): Promise<void> {
    const [last] = this.pending.slice(-1);
    if (last !== undefined) await this.until(last).catch(() => undefined);
  }

  /** The oldest after `after`. */
  async next(after: string, count: number): Promise<QueuedMessage[]> {
    return this.dataSource.query<QueuedMessage[]>(
      'SELECT id, topic, payload, qos, retain FROM federation.bridge_message WHERE id > $1 ORDER BY id LIMIT $2',
      [after, count],
    );
  }

  /** Forgets what has arrived. */
  async remove(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const gone = await this.dataSource.query<{ messages: string; bytes: string | null }[]>(
      `WITH gone AS (DELETE FROM federation.bridge_message WHERE id = ANY($1::bigint[]) RETURNING length(payload) + length(topic) AS bytes)
       SELECT count(*) AS messages, sum(bytes) AS bytes FROM gone`,
      [ids],
    );
    this.forget(gone);
  }

  private async write(): Promise<void> {
    const batch = this.pending.slice(0, batchSize);
    await this.dataSource.query(
      `INSERT INTO federation.bridge_message (topic, payload, qos, retain)
       SELECT topic, payload, qos, retain
       FROM unnest($1::text[], $2::bytea[], $3::smallint[], $4::boolean[]) WITH ORDINALITY
         AS m(topic, payload, qos, retain, place)
       ORDER BY place`,
      [
        batch.map(({ topic }) => topic),
        batch.map(({ payload }) => payload),
        batch.map(({ qos }) => qos),
        batch.map(({ retain }) => retain),
      ],
    );
    this.pending.splice(0, batch.length);
    this.messages += batch.length;
    this.bytes += batch.reduce((sum, { topic, payload }) => sum + topic.length + payload.length, 0);
    await this.makeRoom();
  }

  private async makeRoom(): Promise<void> {
    const { maxMessages, maxBytes } = this.limits;
    while (this.messages > maxMessages || this.bytes > maxBytes) {
      const tooMany = Math.max(this.messages - maxMessages, 1);
      const gone = await this.dataSource.query<{ messages: string; bytes: string | null }[]>(
        `WITH gone AS (
           DELETE FROM federation.bridge_message
           WHERE id IN (SELECT id FROM federation.bridge_message ORDER BY id LIMIT $1)
           RETURNING length(payload) + length(topic) AS bytes
         ) SELECT count(*) AS messages, sum(bytes) AS bytes FROM gone`,
        [tooMany],
      );
      const messages = Number(gone[0]?.messages ?? 0);
      if (messages === 0) return;
      this.droppedCount += messages;
      this.log.warn(
        { messages, queued: this.messages },
        'the bridge’s queue is full: its oldest messages were given up',
      );
      this.forget(gone);
    }
  }

  private forget([gone]: readonly { readonly messages: string; readonly bytes: string | null }[]): void {
    this.messages -= Number(gone?.messages ?? 0);
    this.bytes -= Number(gone?.bytes ?? 0);
  }
}
