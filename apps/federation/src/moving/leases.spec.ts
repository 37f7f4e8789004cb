import { waitFor } from '@mqtt2go/testing';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LeaseSettings, Leases } from './leases.js';
import { FederationDatabase } from '../testing/federation-database.js';

let database: FederationDatabase;
let dataSource: DataSource;
beforeAll(async () => {
  database = await FederationDatabase.create();
  dataSource = await database.open();
});
afterAll(async () => {
  await database.close();
});
beforeEach(() => dataSource.query('TRUNCATE federation.lease'));

const processOf = (holder: string, leaseMs?: number): Leases =>
  new Leases(dataSource, new LeaseSettings(holder, leaseMs));

describe('leases', () => {
  it('are had by one process, until it gives them back', async () => {
    const [one, other] = [processOf('one'), processOf('other')];
    expect(await Promise.all([one.claim('home'), other.claim('another')])).toStrictEqual([true, true]);
    expect(await other.claim('home')).toBe(false);
    expect([one.holds('home'), other.holds('home')]).toStrictEqual([true, false]);
    await other.release('home');
    expect(await other.claim('home')).toBe(false);
    await one.release('home');
    expect(one.holds('home')).toBe(false);
    expect(await other.claim('home')).toBe(true);
  });

  it('are had by just one of those that ask at once', async () => {
    const all = Array.from({ length: 8 }, (_, number) => processOf(`process-${number}`));
    const answers = await Promise.all(all.map((process) => process.claim('home')));
    expect(answers.filter(Boolean)).toHaveLength(1);
  });

  it('are had again at once by a process that was killed and started again', async () => {
    await processOf('one').claim('home');
    expect(await processOf('one').claim('home')).toBe(true);
  });

  it('last as long as they are renewed, and go to another process after that', async () => {
    const [one, other] = [processOf('one', 400), processOf('other', 400)];
    await one.claim('home');
    const until = performance.now() + 1_000;
    while (performance.now() < until) {
      await one.renew();
      expect(await other.claim('home')).toBe(false);
    }
    expect(one.holds('home')).toBe(true);
    await waitFor(() => other.claim('home'), 'the lease');
    // It knows by itself, and is told, that it is not the one any more.
    expect(one.holds('home')).toBe(false);
    await one.renew();
    expect(await one.claim('home')).toBe(false);
    await one.release('home');
    expect(other.holds('home')).toBe(true);
    expect(await one.claim('home')).toBe(false);
  });
});
