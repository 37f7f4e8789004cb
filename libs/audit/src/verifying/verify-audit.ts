import { timingSafeEqual } from 'node:crypto';
import type { ClientBase } from 'pg';
import { startWindow } from '../chain/audit-chain.js';
import { beginning, type HashedEntry, hashEntry, hashedColumns, sealOf } from '../chain/hashing.js';

/** An end of a chain that was noted down outside of the database: in the log, in a metric, in a checkpoint's file. */
export interface AuditHead {
  readonly schema: string;
  readonly position: number;
  /** Lower-case hex. */
  readonly hash: string;
}

export type AuditProblemKind =
  /** The entry is not what was linked: it, or its place, was changed. */
  | 'altered'
  /** A link whose entry is gone. */
  | 'entry-missing'
  /** A place of the chain is gone. */
  | 'link-missing'
  /** An entry that was never linked, among others that were. */
  | 'inserted'
  /** The chain ends before an end that was noted down. */
  | 'cut'
  /** The chain has another hash where an end was noted down: it was made anew. */
  | 'rewritten'
  /** The chain does not begin where it has to. */
  | 'beginning-missing'
  /** A seal that the platform's key does not make. */
  | 'seal-wrong'
  /** More entries without a seal than a batch has. */
  | 'seal-missing';

export interface AuditProblem {
  readonly kind: AuditProblemKind;
  readonly position?: number;
  /** The entry's number. */
  readonly seq?: number;
}

export interface AuditVerdict {
  readonly schema: string;
  /** In the chain. */
  readonly entries: number;
  /** Committed and not linked yet, as the last second's are. */
  readonly notChained: number;
  readonly head: AuditHead;
  /** Links that a seal was checked at. */
  readonly seals: number;
  /** The first of them; `problemCount` tells how many there are. */
  readonly problems: readonly AuditProblem[];
  readonly problemCount: number;
}

export interface VerifyOptions {
  /** Ends that were noted down before. The lowest may be the one after which the chain was archived. */
  readonly heads?: readonly AuditHead[];
  /** See `sealKeyOf`. */
  readonly sealKey?: Uint8Array;
}

const pageSize = 5_000;
const keptProblems = 100;
const longestUnsealed = 1_000;
/** An entry that is older and has no link was not written by a service that runs. */
const lateMs = 10 * 60_000;

interface LinkRow extends Partial<HashedEntry> {
  readonly position: string;
  readonly link_seq: string;
  readonly hash: Buffer;
  readonly seal: Buffer | null;
}

/**
 * Reads a service's whole audit log and checks each link: in order of position each entry is hashed with the hash before
 * it. In a transaction that sees one state of the database.
 * @throws what the database refuses with; 42P01 where the schema has no audit log
 */
export async function verifyAudit(
  client: ClientBase,
  schema: string,
  { heads = [], sealKey }: VerifyOptions = {},
): Promise<AuditVerdict> {
  const check = new ChainCheck(
    schema,
    heads.filter((head) => head.schema === schema),
    sealKey,
  );
  await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    for (;;) {
      const { rows } = await client.query<LinkRow>(
        `SELECT l.position, l.seq AS link_seq, l.hash, l.seal, ${hashedColumns}
         FROM ${schema}.audit_link l LEFT JOIN ${schema}.audit_entry e ON e.seq = l.seq
         WHERE l.position > $1 ORDER BY l.position LIMIT ${pageSize}`,
        [check.position],
      );
      for (const row of rows) check.take(row);
      if (rows.length < pageSize) break;
    }
    const { rows } = await client.query<{ count: string; old: string | null }>(
      `WITH loose AS (
         SELECT e.seq, e.at FROM ${schema}.audit_entry e
         WHERE NOT EXISTS (SELECT 1 FROM ${schema}.audit_link l WHERE l.seq = e.seq)
       )
       SELECT count(*) AS count,
         min(seq) FILTER (WHERE seq < $1 OR at < now() - ${lateMs} * interval '1 millisecond' AND seq < $2) AS old
       FROM loose`,
      [check.highestSeq - startWindow, check.highestSeq],
    );
    const [loose] = rows;
    return check.verdict(Number(loose?.count ?? 0), loose?.old ?? null);
  } finally {
    await client.query('ROLLBACK');
  }
}

class ChainCheck {
  position = 0;
  highestSeq = 0;
  private hash: Buffer = beginning;
  private entries = 0;
  private seals = 0;
  private unsealed = 0;
  private readonly problems: AuditProblem[] = [];
  private problemCount = 0;
  private readonly heads: Map<number, AuditHead[]>;

  constructor(
    private readonly schema: string,
    heads: readonly AuditHead[],
    private readonly sealKey: Uint8Array | undefined,
  ) {
    this.heads = Map.groupBy(heads, (head) => head.position);
  }

  take(row: LinkRow): void {
    const position = Number(row.position);
    const seq = Number(row.link_seq);
    if (this.entries === 0 && position > 1) this.begin(position);
    else if (position !== this.position + 1) this.note({ kind: 'link-missing', position: this.position + 1 });
    this.entries += 1;
    this.highestSeq = Math.max(this.highestSeq, seq);
    if (!isWhole(row)) this.note({ kind: 'entry-missing', position, seq });
    else if (!hashEntry(this.schema, this.hash, position, row).equals(row.hash)) {
      this.note({ kind: 'altered', position, seq });
    }
    this.checkSeal(row, position, seq);
    // From here on by what is stored, so that one change is one problem.
    this.hash = row.hash;
    this.position = position;
    for (const head of this.heads.get(position) ?? []) {
      if (head.hash !== row.hash.toString('hex')) this.note({ kind: 'rewritten', position });
    }
  }

  verdict(notChained: number, oldLoose: string | null): AuditVerdict {
    if (oldLoose !== null) this.note({ kind: 'inserted', seq: Number(oldLoose) });
    for (const position of this.heads.keys()) {
      if (position > this.position) this.note({ kind: 'cut', position });
    }
    const { schema, entries, seals, problems, problemCount } = this;
    const head = { schema, position: this.position, hash: this.hash.toString('hex') };
    return { schema, entries, notChained, head, seals, problems, problemCount };
  }

  /** The entries before an end that was noted down may have been archived. */
  private begin(position: number): void {
    const [archived] = this.heads.get(position - 1) ?? [];
    if (archived === undefined) this.note({ kind: 'beginning-missing', position });
    else this.hash = Buffer.from(archived.hash, 'hex');
  }

  private checkSeal({ seal, hash }: LinkRow, position: number, seq: number): void {
    const { sealKey, schema } = this;
    if (sealKey === undefined) return;
    this.unsealed = seal === null ? this.unsealed + 1 : 0;
    if (this.unsealed === longestUnsealed) this.note({ kind: 'seal-missing', position, seq });
    if (seal === null) return;
    this.seals += 1;
    const wanted = sealOf(sealKey, schema, position, hash);
    if (seal.length !== wanted.length || !timingSafeEqual(seal, wanted))
      this.note({ kind: 'seal-wrong', position, seq });
  }

  private note(problem: AuditProblem): void {
    this.problemCount += 1;
    if (this.problems.length < keptProblems) this.problems.push(problem);
  }
}

function isWhole(row: LinkRow): row is LinkRow & HashedEntry {
  return typeof row.seq === 'string';
}
