import { openDataSource } from '@mqtt2go/persistence';
import { silentLogger, waitFor } from '@mqtt2go/testing';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entities } from '../entities.js';
import { migrations } from '../migrations/index.js';
import { schema } from '../schema.js';
import { homeId, onboardingIds, TopicGeneratorStand } from '../testing/topic-generator-stand.js';
import { DeviceRecords } from './device-records.js';

const [first, second] = onboardingIds;

describe('changes of one device at once', () => {
  let stand: TopicGeneratorStand;
  let dataSource: DataSource;

  const onBroker = (deviceId: string) => stand.admin.principals.get(`device/${deviceId}`);
  const stored = async (deviceId: string) =>
    (await stand.principals(dataSource).load([{ kind: 'device', id: deviceId }])).at(0);
  const refusalOf = (work: Promise<unknown>) => work.catch((error: unknown) => error);
  const someoneWaits = () =>
    waitFor(async () => {
      const waiting = await dataSource.query<unknown[]>(
        `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return waiting.length > 0;
    }, 'a statement that waits for a lock');

  beforeAll(async () => {
    stand = await TopicGeneratorStand.create();
    dataSource = await openDataSource({ url: stand.database.url, schema, entities, migrations, log: silentLogger });
  });
  afterAll(async () => {
    await dataSource.destroy();
    await stand.close();
  });

  it('completes the onboarding that was admitted while the naming waited', async () => {
    await stand.admit('lamp-1');
    const later = {
      onboardingId: second,
      deviceId: 'lamp-1',
      homeId,
      gatewayId: 'gw2',
      deviceType: 'light',
      serialNumber: 'BB02',
    };
    const { naming } = await dataSource.transaction(async (manager) => {
      const records = new DeviceRecords(manager);
      const device = await records.lockOrCreate(later);
      await records.addCertificate(later, 1);
      await records.update('lamp-1', { ...device, pendingOnboardingId: second });
      const waiting = stand.assign('lamp-1', 'kitchen');
      await someoneWaits();
      return { naming: waiting };
    });
    expect(await naming).toEqual({ topics: [`${homeId}/gw2/kitchen/light/lamp-1`] });
    expect(onBroker('lamp-1')).toMatchObject({ gatewayId: 'gw2', certificateSerials: ['BB02'] });
    expect(onBroker('lamp-1')).toEqual(await stored('lamp-1'));
  });

  it('names no device that was withdrawn while the naming waited', async () => {
    await stand.admit('lamp-2');
    const { naming } = await dataSource.transaction(async (manager) => {
      const records = new DeviceRecords(manager);
      await records.lock('lamp-2');
      await records.dropAdmission('lamp-2', first, 1);
      await records.delete('lamp-2');
      const waiting = refusalOf(stand.assign('lamp-2', 'kitchen'));
      await someoneWaits();
      return { naming: waiting };
    });
    expect(await naming).toMatchObject({ code: 'unknown_device' });
  });

  it('admits no certificate that was dropped while the admission waited', async () => {
    const { admission } = await dataSource.transaction(async (manager) => {
      await new DeviceRecords(manager).dropSerials('lamp-3', ['AA01'], 1);
      const waiting = refusalOf(stand.admit('lamp-3'));
      await someoneWaits();
      return { admission: waiting };
    });
    expect(await admission).toMatchObject({ code: 'certificate_revoked' });
    expect(await stored('lamp-3')).toBeUndefined();
    const rows = await dataSource.query<unknown[]>(`SELECT 1 FROM device WHERE device_id = 'lamp-3'`);
    expect(rows).toEqual([]);
  });

  it('leaves the broker with what is stored, whatever happens at the same time', async () => {
    const ids = Array.from({ length: 40 }, (_, n) => `busy-${n}`);
    const outcomes = await Promise.all(
      ids.map(async (id, n) => {
        const work = [
          () => stand.admit(id),
          () => stand.assign(id, 'kitchen', `group-${n}`),
          () => stand.admit(id, { onboardingId: second, serialNumber: 'BB02', gatewayId: 'gw2' }),
          () => stand.assign(id, 'cellar'),
          () => stand.withdraw(id, n % 2 === 0 ? first : second),
          () => (n % 3 === 0 ? stand.revoke(id) : stand.revoke(id, 'AA01')),
          () => stand.admit(id),
        ];
        // In two heaps, other ones for each device. Refusals on the way are fine, deadlocks are not.
        const begun = n % work.length;
        return [
          ...(await Promise.allSettled(work.slice(0, begun).map((one) => one()))),
          ...(await Promise.allSettled(work.slice(begun).map((one) => one()))),
        ];
      }),
    );
    const codes = outcomes.flat().map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'done'));
    expect(new Set(codes)).toEqual(new Set(['certificate_revoked', 'done', 'unknown_device']));
    for (const id of ids) expect(onBroker(id)).toEqual(await stored(id));
  });
});
