import { statementsDuring } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TopicGeneratorStand } from './testing/topic-generator-stand.js';

/** Each statement is a round trip that an onboarding waits for, transactions' borders among them. */
describe('what an onboarding asks of the database', () => {
  let stand: TopicGeneratorStand;

  beforeAll(async () => {
    stand = await TopicGeneratorStand.create();
  });
  afterAll(() => stand.close());

  it('admits a new device in one statement', async () => {
    expect(await statementsDuring(() => stand.admit('lamp-1'))).toHaveLength(1);
    expect(stand.admin.principals.get('device/lamp-1')).toMatchObject({ certificateSerials: ['AA01'] });
  });

  it('names a new device in one statement, of which the broker need not hear', async () => {
    await stand.admit('lamp-2');
    stand.admin.isAway = true;
    expect(await statementsDuring(() => stand.assign('lamp-2', 'kitchen', 'downstairs'))).toHaveLength(1);
    stand.admin.isAway = false;
  });

  it('locks and reads what it tells the broker where another process may change it', async () => {
    // The rebuild at the start may still be under way: its pages, and what it settles of a device that comes meanwhile.
    const ofRequests = async (work: () => Promise<unknown>): Promise<string[]> =>
      (await statementsDuring(work)).filter((text) => !text.includes('LIMIT'));
    await stand.service.stop();
    await stand.start({ hasReplicas: true });
    await stand.admin.loseCopy();
    const counts: number[] = [];
    for (const id of ['lamp-3', 'lamp-4', 'lamp-5']) counts.push((await ofRequests(() => stand.admit(id))).length);
    expect(Math.min(...counts)).toBe(5);
    expect(await ofRequests(() => stand.assign('lamp-3', 'kitchen'))).toHaveLength(1);
  });
});
