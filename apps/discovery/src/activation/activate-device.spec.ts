import { randomUUID } from 'node:crypto';
import { openDataSource, schemaDifferences } from '@mqtt2go/persistence';
import { silentLogger, waitFor } from '@mqtt2go/testing';
import type { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { entities } from '../entities.js';
import { migrations } from '../migrations/index.js';
import { schema } from '../schema.js';
import { DiscoveryStand } from '../testing/discovery-stand.js';

const minuteMs = 60_000;

describe('POST and DELETE /activate_device', () => {
  let stand: DiscoveryStand;
  let dataSource: DataSource;

  const principal = (deviceId: string) => stand.admin.principals.get(`activation/${deviceId}`);
  const rows = () => dataSource.query<Record<string, unknown>[]>('SELECT * FROM waiting_activation ORDER BY device_id');
  const isoIn = (ms: number) => new Date(stand.clock.now() + ms).toISOString();
  const withdraw = (deviceId: string, onboardingId: unknown, until = '') =>
    stand.ask({ method: 'DELETE', path: `/activate_device/${deviceId}?onboarding_id=${String(onboardingId)}${until}` });

  beforeAll(async () => {
    stand = await DiscoveryStand.create();
    dataSource = await openDataSource({ url: stand.database.url, schema, entities, migrations, log: silentLogger });
  });
  afterAll(async () => {
    await dataSource.destroy();
    await stand.close();
  });
  afterEach(async () => {
    stand.admin.isAway = false;
    await dataSource.query('DELETE FROM waiting_activation');
    stand.admin.principals.clear();
  });

  it('has migrations that make what the entities say', async () => {
    expect(await schemaDifferences(dataSource)).toEqual([]);
  });

  it('lets the device come when it answers, and keeps its bundle encrypted', async () => {
    const onboarding_id = randomUUID();
    const expires_at = isoIn(10 * minuteMs);
    const answer = await stand.announce({ onboarding_id, expires_at, device_certificate: 'SECRET KEY' });
    expect(answer).toMatchObject({ status: 201, json: { device_id: 'lamp-1', onboarding_id, expires_at } });
    expect(principal('lamp-1')).toEqual({
      kind: 'activation',
      id: 'lamp-1',
      activationCode: 'CODE-1',
      expiresAtMs: Date.parse(expires_at),
    });
    const [row] = await rows();
    expect(row).toMatchObject({
      device_id: 'lamp-1',
      broker_host: 'home.example',
      broker_port: 8883,
      claimed_at: null,
    });
    expect(
      JSON.stringify(
        await dataSource.query('SELECT encode(sealed_certificate, $1) FROM waiting_activation', ['escape']),
      ),
    ).not.toContain('SECRET');
  });

  it('answers the same onboarding alike, and stores it once', async () => {
    const announcement = { onboarding_id: randomUUID() };
    const first = await stand.announce(announcement);
    const second = await stand.announce(announcement);
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.json).toEqual(first.json);
    expect(await rows()).toHaveLength(1);
  });

  it('takes the same announcement many times at once', async () => {
    const body = stand.announcement();
    const answers = await Promise.all(Array.from({ length: 8 }, () => stand.ask({ body })));
    expect(answers.every(({ status }) => status === 200 || status === 201)).toBe(true);
    expect(await rows()).toHaveLength(1);
  });

  it('puts a later onboarding of the device in the place of an earlier one, and not the other way round', async () => {
    const early = stand.announcement({ activation_code: 'OLD', expires_at: isoIn(5 * minuteMs) });
    await stand.ask({ body: early });
    await stand.announce({ activation_code: 'NEW', expires_at: isoIn(6 * minuteMs) });
    expect(principal('lamp-1')).toMatchObject({ activationCode: 'NEW' });
    expect(await stand.ask({ body: early })).toMatchObject({ status: 409, json: { code: 'conflict' } });
    expect(await withdraw('lamp-1', early['onboarding_id'])).toMatchObject({ status: 204, text: '' });
    expect(principal('lamp-1')).toMatchObject({ activationCode: 'NEW' });
  });

  it('refuses a code that another device waits with', async () => {
    await stand.announce();
    const answer = await stand.announce({ device_id: 'lamp-2' });
    expect(answer).toMatchObject({ status: 409, json: { code: 'activation_code_in_use' } });
    expect(principal('lamp-2')).toBeUndefined();
  });

  it('cuts a wait that is longer than 15 minutes, and refuses one that is over', async () => {
    const long = await stand.announce({ expires_at: isoIn(60 * minuteMs) });
    expect(long).toMatchObject({ status: 201, json: { expires_at: isoIn(15 * minuteMs) } });
    for (const expires_at of [isoIn(0), isoIn(-1)]) {
      const over = await stand.announce({ device_id: 'lamp-2', activation_code: 'CODE-2', expires_at });
      expect(over).toMatchObject({ status: 410, json: { code: 'activation_expired' } });
    }
  });

  it('removes what has expired, key and access, and gives the code away again', async () => {
    await stand.announce();
    stand.clock.advance(15 * minuteMs);
    await waitFor(async () => (await rows()).length === 0 && principal('lamp-1') === undefined);
    expect((await stand.announce({ device_id: 'lamp-2' })).status).toBe(201);
  });

  it('gives the code of an expired device away before that one was removed', async () => {
    await stand.service.stop();
    await stand.start({ sweepIntervalMs: 3_600_000 });
    await stand.announce();
    stand.clock.advance(15 * minuteMs);
    expect((await stand.announce({ device_id: 'lamp-2' })).status).toBe(201);
    expect(await rows()).toMatchObject([{ device_id: 'lamp-2' }]);
    await stand.restart();
    await waitFor(() => principal('lamp-2'));
    expect(principal('lamp-1')).toBeUndefined();
  });

  it('leaves the broker with what is stored, whatever happens at the same time', async () => {
    const ids = [randomUUID(), randomUUID(), randomUUID()];
    const work = ids.flatMap((onboarding_id, n) => [
      () => stand.announce({ onboarding_id, activation_code: `CODE-${n}`, expires_at: isoIn((n + 1) * minuteMs) }),
      () => withdraw('lamp-1', onboarding_id),
    ]);
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(work.map((one) => one()));
      const [stored] = await rows();
      const told = principal('lamp-1');
      expect(told?.kind === 'activation' ? told.activationCode : undefined).toBe(stored?.['activation_code']);
    }
  });

  it('lets an announcement do nothing that comes after it was taken back, and one that is newer do all', async () => {
    const announcement = { onboarding_id: randomUUID(), expires_at: isoIn(6 * minuteMs) };
    expect((await stand.announce(announcement)).status).toBe(201);
    await withdraw('lamp-1', announcement.onboarding_id);
    expect((await stand.announce(announcement)).status).toBe(200);
    expect(await rows()).toEqual([]);
    expect(principal('lamp-1')).toBeUndefined();
    expect((await stand.announce({ ...announcement, expires_at: isoIn(7 * minuteMs) })).status).toBe(201);
    expect(await rows()).toHaveLength(1);
  });

  it('lets no announcement do anything that was meant to take the place of the one that is taken back', async () => {
    const onboarding_id = randomUUID();
    await stand.announce({ onboarding_id, expires_at: isoIn(6 * minuteMs) });
    await withdraw('lamp-1', onboarding_id, `&announced_until=${isoIn(7 * minuteMs)}`);
    expect((await stand.announce({ onboarding_id, expires_at: isoIn(7 * minuteMs) })).status).toBe(200);
    expect(await rows()).toEqual([]);
    expect((await stand.announce({ onboarding_id, expires_at: isoIn(8 * minuteMs) })).status).toBe(201);
    expect((await withdraw('lamp-1', onboarding_id, '&announced_until=tomorrow')).status).toBe(400);
    expect(await rows()).toHaveLength(1);
  });

  it('lets an announcement do nothing that comes for the first time after it was taken back', async () => {
    const onboarding_id = randomUUID();
    await withdraw('lamp-1', onboarding_id);
    expect((await stand.announce({ onboarding_id })).status).toBe(200);
    expect(await rows()).toEqual([]);
    stand.clock.advance(minuteMs);
    expect((await stand.announce({ onboarding_id, expires_at: isoIn(15 * minuteMs) })).status).toBe(201);
  });

  it('takes an expired device off a broker that was away meanwhile', async () => {
    await stand.announce();
    stand.admin.isAway = true;
    stand.clock.advance(15 * minuteMs);
    await waitFor(async () => (await rows()).length === 0);
    expect(principal('lamp-1')).toBeDefined();
    stand.admin.isAway = false;
    await waitFor(() => principal('lamp-1') === undefined);
  });

  it('asks to be asked again while the broker is away, and then goes on', async () => {
    const body = stand.announcement();
    stand.admin.isAway = true;
    expect(await stand.ask({ body })).toMatchObject({ status: 503, json: { code: 'unavailable' } });
    stand.admin.isAway = false;
    expect((await stand.ask({ body })).status).toBe(200);
    expect(principal('lamp-1')).toBeDefined();
  });

  it('takes a device back, twice if need be', async () => {
    const onboarding_id = randomUUID();
    await stand.announce({ onboarding_id });
    expect((await withdraw('lamp-1', onboarding_id)).status).toBe(204);
    expect((await withdraw('lamp-1', onboarding_id)).status).toBe(204);
    expect(principal('lamp-1')).toBeUndefined();
    expect(await rows()).toEqual([]);
  });

  it('knows who may come after a restart, for what is left of the time', async () => {
    await stand.announce({ expires_at: isoIn(2 * minuteMs) });
    await stand.announce({ device_id: 'lamp-2', activation_code: 'CODE-2', expires_at: isoIn(10 * minuteMs) });
    stand.clock.advance(3 * minuteMs);
    await stand.restart();
    await waitFor(() => principal('lamp-2'));
    expect(principal('lamp-1')).toBeUndefined();
  });

  it('gives a broker that lost its copy all of it again', async () => {
    await stand.announce();
    await stand.admin.loseCopy();
    expect(principal('lamp-1')).toBeDefined();
  });
});
