import { describe, expect, it } from 'vitest';
import { GroupCommit } from './group-commit.js';

/** A store that takes the first group only when it is let. */
function slowStore(refused?: string) {
  const groups: string[][] = [];
  const released = Promise.withResolvers<void>();
  const commit = new GroupCommit<string, string>({
    store: async (items) => {
      groups.push([...items]);
      if (groups.length === 1) await released.promise;
      if (refused !== undefined && items.includes(refused)) throw new Error('refused');
      return items.map((item) => `${item} stored`);
    },
    isOfOneItem: (error) => error instanceof Error && error.message === 'refused',
    largest: 3,
  });
  return { groups, release: released.resolve, commit };
}

describe('GroupCommit', () => {
  it('stores together what comes while something is being stored, and gives each its own result', async () => {
    const { groups, release, commit } = slowStore();
    const results = Promise.all(['a', 'b', 'c'].map((item) => commit.add(item)));
    release();
    expect(await results).toEqual(['a stored', 'b stored', 'c stored']);
    expect(groups).toEqual([['a'], ['b', 'c']]);
  });

  it('keeps no full group waiting', async () => {
    const { groups, release, commit } = slowStore();
    const first = commit.add('a');
    await Promise.all(['b', 'c', 'd'].map((item) => commit.add(item)));
    expect(groups).toEqual([['a'], ['b', 'c', 'd']]);
    release();
    expect(await first).toBe('a stored');
  });

  it('keeps one that is refused from having the others refused', async () => {
    const { release, commit } = slowStore('c');
    const results = Promise.allSettled(['a', 'b', 'c'].map((item) => commit.add(item)));
    release();
    expect((await results).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  });

  it('does not try again what failed for all', async () => {
    const groups: string[][] = [];
    const commit = new GroupCommit<string, string>({
      store: async (items) => {
        groups.push([...items]);
        await Promise.resolve();
        throw new Error('no database');
      },
      isOfOneItem: () => false,
    });
    const results = await Promise.allSettled(['a', 'b', 'c'].map((item) => commit.add(item)));
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    expect(groups).toEqual([['a'], ['b', 'c']]);
  });
});
