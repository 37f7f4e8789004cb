const capacity = 5_000;
/** A transaction that is older has been ended by its statement's timeout, or is looked for at the next start. */
const rememberedMs = 10 * 60_000;

/** Numbers that were skipped: either rolled back for good, or of a transaction that has not committed yet. */
export class Gaps {
  private readonly seenAt = new Map<number, number>();

  get numbers(): number[] {
    return [...this.seenAt.keys()];
  }

  /** Notes what is missing between `after` and the end of `found`, which is in ascending order. */
  note(after: number, found: readonly number[], nowMs: number): void {
    let next = after + 1;
    for (const number of found) {
      for (let missing = Math.max(next, number - capacity); missing < number; missing += 1) {
        this.seenAt.set(missing, nowMs);
      }
      next = number + 1;
    }
    for (const [number, seenAt] of this.seenAt) {
      if (this.seenAt.size <= capacity && nowMs - seenAt < rememberedMs) break;
      this.seenAt.delete(number);
    }
  }

  filled(number: number): void {
    this.seenAt.delete(number);
  }
}
