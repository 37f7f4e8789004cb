import { type ControllerPrincipal, type DevicePrincipal, isControllerUsername } from '@mqtt2go/access';
import { Bus, topicGenerator } from '@mqtt2go/messaging';
import { openDataSource, schemaDifferences } from '@mqtt2go/persistence';
import { createEncryptionKey, SecretBox, verifyPassword } from '@mqtt2go/pki';
import { FakeBrokerAdmin, FakeClock } from '@mqtt2go/ports';
import type { ServiceHandle } from '@mqtt2go/runtime';
import {
  collectingLogger,
  createTestDatabase,
  silentLogger,
  startTestBroker,
  type TestBroker,
  type TestDatabase,
  waitFor,
} from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DataSource } from 'typeorm';
import type { z } from 'zod';
import { HomePrincipals } from './access/home-principals.js';
import { ControllerSecrets } from './controllers/controller-secrets.js';
import { entities } from './entities.js';
import { migrations } from './migrations/index.js';
import { schema } from './schema.js';
import { startTopicGenerator } from './start-topic-generator.js';

const first = '00000000-0000-4000-8000-000000000001';
const second = '00000000-0000-4000-8000-000000000002';

describe('the topic generator', () => {
  const encryptionKey = createEncryptionKey();
  let database: TestDatabase;
  let broker: TestBroker;
  let admin: FakeBrokerAdmin;
  let service: ServiceHandle;
  let bus: Bus;
  const controllerWebSocketUrl = 'wss://home.example:8884';
  let count = 0;
  const { log, lines } = collectingLogger();
  let homeId: string;
  let deviceId: string;

  const start = (): Promise<ServiceHandle> =>
    startTopicGenerator({
      log,
      clock: new FakeClock(),
      databaseUrl: database.url,
      poolSize: 5,
      busLink: broker.link('topic-generator'),
      homeBrokers: [
        {
          name: 'home-0',
          admin,
          trustsGateways: true,
          controllerUrl: 'mqtts://home.example:8883',
          controllerWebSocketUrl,
        },
      ],
      encryptionKey,
    });

  const admission = (
    changes: Partial<z.input<typeof topicGenerator.admitDevice.input>> = {},
  ): z.input<typeof topicGenerator.admitDevice.input> => ({
    onboardingId: first,
    deviceId,
    homeId,
    gatewayId: 'gw',
    deviceType: 'socket',
    serialNumber: 'AA01',
    ...changes,
  });
  const admit = (changes: Parameters<typeof admission>[0] = {}) =>
    bus.call(topicGenerator.admitDevice, admission(changes), { retries: 0 });
  const assign = (...groupIds: string[]) =>
    bus.call(topicGenerator.assignTopics, { deviceId, groupIds }, { retries: 0 });
  const withdraw = (onboardingId: string) => bus.call(topicGenerator.withdrawDevice, { onboardingId, deviceId });
  const revoke = (...serialNumbers: string[]) => bus.call(topicGenerator.revokeAccess, { deviceId, serialNumbers });
  const accept = (serialNumber: string, renewedFrom = 'AA01') =>
    bus.call(topicGenerator.acceptCertificate, { deviceId, renewedFrom, serialNumber }, { retries: 0 });
  const makeHome = (home: string, gatewayId = 'gw') =>
    bus.call(topicGenerator.createController, { homeId: home, gatewayId });

  const principals = (dataSource: DataSource, key = encryptionKey): HomePrincipals =>
    new HomePrincipals(dataSource, new ControllerSecrets(new SecretBox(key)), { broker: 'home-0', isFirst: true });
  const withDatabase = async (work: (dataSource: DataSource) => Promise<unknown>): Promise<void> => {
    const dataSource = await openDataSource({ url: database.url, schema, entities, migrations, log: silentLogger });
    try {
      await work(dataSource);
    } finally {
      await dataSource.destroy();
    }
  };

  const onBroker = (): DevicePrincipal | undefined => {
    const principal = admin.principals.get(`device/${deviceId}`);
    return principal?.kind === 'device' ? principal : undefined;
  };
  const controllerOnBroker = (username: string): ControllerPrincipal | undefined => {
    const principal = admin.principals.get(`controller/${username}`);
    return principal?.kind === 'controller' ? principal : undefined;
  };

  beforeAll(async () => {
    database = await createTestDatabase();
    broker = await startTestBroker();
    admin = new FakeBrokerAdmin();
    service = await start();
    bus = new Bus(broker.link('test'));
    await waitFor(() => {
      try {
        bus.checkHealth();
        return true;
      } catch {
        return false;
      }
    });
  });

  afterAll(async () => {
    await bus.close();
    await service.stop();
    await broker.close();
    await database.drop();
  });

  beforeEach(async () => {
    count += 1;
    homeId = `home-${count}`;
    deviceId = `device-${count}`;
    await makeHome(homeId);
  });

  afterEach(() => {
    admin.isAway = false;
  });

  it('has migrations that make what the entities say', async () => {
    const dataSource = await openDataSource({ url: database.url, schema, entities, migrations, log: silentLogger });
    try {
      expect(await schemaDifferences(dataSource)).toEqual([]);
    } finally {
      await dataSource.destroy();
    }
  });

  it('is healthy and has metrics', async () => {
    expect(lines.filter(({ level }) => Number(level) >= 50)).toEqual([]);
    expect(await service.health()).toMatchObject({ name: 'topic-generator', status: 'up' });
    expect(await service.metrics()).toContain('mqtt2go_handler_duration_seconds');
  });

  describe('homes and controllers', () => {
    it('knows the gateways that a controller was made for', async () => {
      const ask = (home: string, gatewayId: string) => bus.call(topicGenerator.hasGateway, { homeId: home, gatewayId });
      expect(await ask(homeId, 'gw')).toEqual({ exists: true, broker: 'home-0' });
      expect(await ask(homeId, 'other')).toEqual({ exists: false });
      expect(await ask('nowhere', 'gw')).toEqual({ exists: false });
    });

    it('makes a controller with a random password that the database has only as a hash and sealed', async () => {
      const made = await bus.call(topicGenerator.createController, { homeId, gatewayId: 'gw', role: 'guest' });
      expect(made).toMatchObject({ url: 'mqtts://home.example:8883', webSocketUrl: controllerWebSocketUrl });
      expect(made.username.endsWith(`@${homeId}`)).toBe(true);
      const told = controllerOnBroker(made.username);
      expect(told).toMatchObject({ homeId, gatewayId: 'gw', role: 'guest', secret: made.password });
      expect(told && (await verifyPassword(made.password, told.password))).toBe(true);
      await withDatabase(async (dataSource) => {
        const rows = await dataSource.query<{ password_sealed: Buffer }[]>(
          'SELECT * FROM controller WHERE username = $1',
          [made.username],
        );
        const text = JSON.stringify(rows, (_key, value) => (Buffer.isBuffer(value) ? value.toString('latin1') : value));
        expect(text).not.toContain(made.password);
        expect(Buffer.from(rows[0]?.password_sealed ?? []).toString('latin1')).not.toContain(made.password);
        const [known] = await principals(dataSource).load([{ kind: 'controller', id: made.username }]);
        expect(known).toEqual(told);
        const other = principals(dataSource, createEncryptionKey());
        await expect(other.load([{ kind: 'controller', id: made.username }])).rejects.toMatchObject({
          code: 'configuration_invalid',
        });
      });
    });

    it('gives the controller of a name a new password and closes the sessions of the old one', async () => {
      const input = { homeId, gatewayId: 'gw', username: `app-${count}` };
      const before = await bus.call(topicGenerator.createController, input);
      const session = admin.connect({ key: { kind: 'controller', id: before.username } });
      const after = await bus.call(topicGenerator.createController, input);
      expect(after.password).not.toBe(before.password);
      expect(session?.isOpen).toBe(false);
    });

    it('has names for each home by itself', async () => {
      const ask = (home: string, gatewayId = 'gw') =>
        bus.call(topicGenerator.createController, { homeId: home, gatewayId, username: 'phone' });
      const one = await ask(homeId);
      const other = await ask(`${homeId}-b`);
      expect([one.username, other.username]).toEqual([`phone@${homeId}`, `phone@${homeId}-b`]);
      expect(controllerOnBroker(one.username)).toMatchObject({ homeId, secret: one.password });
      expect(controllerOnBroker(other.username)).toMatchObject({ homeId: `${homeId}-b`, secret: other.password });
      await expect(ask(homeId, 'gw-b')).rejects.toMatchObject({ code: 'conflict' });
      expect(await bus.call(topicGenerator.hasGateway, { homeId, gatewayId: 'gw-b' })).toEqual({ exists: false });
    });

    it.each(['phone@home', 'a@b@c', '@', 'a/b'])('takes no name for %j', async (username) => {
      const asked = bus.call(topicGenerator.createController, { homeId, gatewayId: 'gw', username });
      await expect(asked).rejects.toMatchObject({ code: 'malformed_message' });
    });

    it('takes the place of a controller whose name is from before homes were in it', async () => {
      const username = `old-${count}`;
      await withDatabase((dataSource) =>
        dataSource.query(
          `INSERT INTO controller (username, home_id, gateway_id, role, password_iterations, password_salt, password_hash)
           SELECT $1 || n, $2, 'gw', 'guest', 1000, 'AQEB', 'AQEB' FROM unnest('{a,b}'::text[]) AS n`,
          [username, homeId],
        ),
      );
      await admin.loseCopy();
      expect(controllerOnBroker(`${username}a`)).toMatchObject({ homeId, role: 'guest' });
      expect(controllerOnBroker(`${username}a`)).not.toHaveProperty('secret');
      const elsewhere = { homeId: `${homeId}-b`, gatewayId: 'gw', username: `${username}a` };
      await bus.call(topicGenerator.createController, elsewhere);
      expect(controllerOnBroker(`${username}a`)).toBeDefined();
      await bus.call(topicGenerator.createController, { ...elsewhere, homeId });
      expect(controllerOnBroker(`${username}a`)).toBeUndefined();
      expect(controllerOnBroker(`${username}a@${homeId}`)).toMatchObject({ homeId, role: 'administrator' });
      expect(controllerOnBroker(`${username}b`)).toBeDefined();
    });

    it('makes up a user name for the longest home id too', async () => {
      const long = 'h'.repeat(64);
      const { username } = await makeHome(long);
      expect(isControllerUsername(username)).toBe(true);
      const { username: longest } = await bus.call(topicGenerator.createController, {
        homeId: long,
        gatewayId: 'gw',
        username: 'u'.repeat(64),
      });
      expect(controllerOnBroker(longest)?.id).toBe(`${'u'.repeat(64)}@${long}`);
    });
  });

  describe('admitting', () => {
    it('lets a new device to its own topics and nothing else', async () => {
      await admit();
      expect(onBroker()).toEqual({
        kind: 'device',
        id: deviceId,
        homeId,
        gatewayId: 'gw',
        deviceType: 'socket',
        certificateSerials: ['AA01'],
      });
      const session = admin.connect({ key: { kind: 'device', id: deviceId }, certificateSerial: 'AA01' });
      expect(session?.may('subscribe', `${deviceId}/topics`)).toBe(true);
      expect(session?.may('subscribe', `${homeId}/gw/kitchen/socket/${deviceId}`)).toBe(true);
      expect(session?.may('subscribe', `${homeId}/gw/kitchen/socket/${deviceId}x`)).toBe(false);
      expect(session?.may('subscribe', `${homeId}/gw/kitchen/light/${deviceId}`)).toBe(false);
      expect(session?.may('subscribe', `${homeId}/gw2/kitchen/socket/${deviceId}`)).toBe(false);
      expect(session?.may('publish', `${homeId}/gw/add_device`)).toBe(false);
    });

    it('does the same once when asked twice', async () => {
      await Promise.all([admit(), admit()]);
      await admit();
      expect(onBroker()?.certificateSerials).toEqual(['AA01']);
    });

    it('refuses a home or gateway that is not there', async () => {
      await expect(admit({ homeId: 'nowhere' })).rejects.toMatchObject({ code: 'unknown_home' });
      await expect(admit({ gatewayId: 'other' })).rejects.toMatchObject({ code: 'unknown_home' });
      expect(onBroker()).toBeUndefined();
    });

    it('refuses a device that has a name in another home', async () => {
      await makeHome(`${homeId}-b`);
      await admit();
      await assign('kitchen');
      const theft = admit({ onboardingId: second, homeId: `${homeId}-b`, serialNumber: 'BB02' });
      await expect(theft).rejects.toMatchObject({ code: 'device_already_active' });
      expect(onBroker()).toMatchObject({ homeId, certificateSerials: ['AA01'] });
    });

    it('moves a device that was never named to the home that adds it last', async () => {
      await makeHome(`${homeId}-b`);
      await admit();
      await admit({ onboardingId: second, homeId: `${homeId}-b`, serialNumber: 'BB02' });
      expect(onBroker()).toMatchObject({ homeId: `${homeId}-b`, certificateSerials: ['BB02'] });
      await withdraw(first);
      expect(onBroker()).toMatchObject({ homeId: `${homeId}-b`, certificateSerials: ['BB02'] });
    });

    it('goes on where it stopped when the broker was away', async () => {
      admin.isAway = true;
      await expect(admit()).rejects.toMatchObject({ code: 'unavailable' });
      admin.isAway = false;
      await admit();
      expect(onBroker()?.certificateSerials).toEqual(['AA01']);
    });

    it('does not bring back a certificate that was revoked before it was admitted', async () => {
      await revoke('AA01');
      await expect(admit()).rejects.toMatchObject({ code: 'certificate_revoked' });
      expect(onBroker()).toBeUndefined();
    });

    it.each(['a/b', 'a+', '#', '$x', 'a b', '', 'x'.repeat(65)])('refuses the device id %j', async (id) => {
      await expect(admit({ deviceId: id })).rejects.toMatchObject({ code: 'malformed_message' });
    });
  });

  describe('naming', () => {
    it('gives one topic for each group, in force when answered', async () => {
      await admit();
      expect(await assign('kitchen', 'all')).toEqual({
        topics: [`${homeId}/gw/kitchen/socket/${deviceId}`, `${homeId}/gw/all/socket/${deviceId}`],
      });
      const session = admin.connect({ key: { kind: 'device', id: deviceId }, certificateSerial: 'AA01' });
      expect(session?.may('subscribe', `${homeId}/gw/kitchen/socket/${deviceId}`)).toBe(true);
    });

    it('answers the same when asked twice, and names a group once', async () => {
      await admit();
      const topics = [`${homeId}/gw/kitchen/socket/${deviceId}`];
      expect(await assign('kitchen', 'kitchen')).toEqual({ topics });
      expect(await assign('kitchen', 'kitchen')).toEqual({ topics });
    });

    it('moves a named device to other groups', async () => {
      await admit();
      await assign('kitchen');
      await assign('cellar');
      expect(await assign('attic')).toEqual({ topics: [`${homeId}/gw/attic/socket/${deviceId}`] });
      expect(onBroker()?.certificateSerials).toEqual(['AA01']);
    });

    it('tells the broker when the device is named for another gateway than it was first admitted to', async () => {
      await makeHome(homeId, 'gw2');
      await admit();
      await admit({ onboardingId: second, serialNumber: 'BB02', gatewayId: 'gw2' });
      await withdraw(first);
      expect(onBroker()).toMatchObject({ gatewayId: 'gw', certificateSerials: ['BB02'] });
      admin.isAway = true;
      await expect(assign('kitchen')).rejects.toMatchObject({ code: 'unavailable' });
      admin.isAway = false;
      expect(await assign('kitchen')).toEqual({ topics: [`${homeId}/gw2/kitchen/socket/${deviceId}`] });
      expect(onBroker()).toMatchObject({ gatewayId: 'gw2', certificateSerials: ['BB02'] });
    });

    it('refuses a device that nobody admitted', async () => {
      await expect(assign('kitchen')).rejects.toMatchObject({ code: 'unknown_device' });
    });
  });

  describe('adding a working device again', () => {
    beforeEach(async () => {
      await makeHome(homeId, 'gw2');
      await admit();
      await assign('kitchen');
      await admit({ onboardingId: second, serialNumber: 'BB02', gatewayId: 'gw2', deviceType: 'light' });
    });

    it('leaves it working until it is named', async () => {
      expect(onBroker()).toMatchObject({
        gatewayId: 'gw',
        deviceType: 'socket',
        certificateSerials: ['AA01', 'BB02'],
      });
    });

    it('goes back to what it was when the onboarding is withdrawn', async () => {
      await withdraw(second);
      expect(onBroker()).toMatchObject({ gatewayId: 'gw', certificateSerials: ['AA01'] });
    });

    it('drops the earlier certificates with the new name', async () => {
      const old = admin.connect({ key: { kind: 'device', id: deviceId }, certificateSerial: 'AA01' });
      expect(await assign('hall')).toEqual({ topics: [`${homeId}/gw2/hall/light/${deviceId}`] });
      expect(onBroker()).toMatchObject({ gatewayId: 'gw2', certificateSerials: ['BB02'] });
      expect(old?.isOpen).toBe(false);
    });

    it('does not take an admission that comes late for a new one', async () => {
      await assign('hall');
      await expect(admit()).rejects.toMatchObject({ code: 'certificate_revoked' });
      await admit({ onboardingId: second, serialNumber: 'BB02', gatewayId: 'gw2', deviceType: 'light' });
      expect(onBroker()?.certificateSerials).toEqual(['BB02']);
    });
  });

  describe('accepting a renewed certificate', () => {
    beforeEach(async () => {
      await admit();
      await assign('kitchen');
    });

    it('lets the device come with both, once however often it is asked', async () => {
      await Promise.all([accept('AA02'), accept('AA02')]);
      await accept('AA02');
      expect(onBroker()).toMatchObject({ certificateSerials: ['AA01', 'AA02'] });
      const session = admin.connect({ key: { kind: 'device', id: deviceId }, certificateSerial: 'AA02' });
      expect(session?.may('subscribe', `${homeId}/gw/kitchen/socket/${deviceId}`)).toBe(true);
    });

    it('goes on where it stopped when the broker was away', async () => {
      admin.isAway = true;
      await expect(accept('AA02')).rejects.toMatchObject({ code: 'unavailable' });
      admin.isAway = false;
      await accept('AA02');
      expect(onBroker()?.certificateSerials).toEqual(['AA01', 'AA02']);
    });

    it('keeps it through another naming, and drops it with the one that it renews', async () => {
      await accept('AA02');
      await assign('cellar');
      expect(onBroker()?.certificateSerials).toEqual(['AA01', 'AA02']);
      await admit({ onboardingId: second, serialNumber: 'BB02' });
      await assign('hall');
      expect(onBroker()?.certificateSerials).toEqual(['BB02']);
      await expect(accept('AA02')).rejects.toMatchObject({ code: 'certificate_revoked' });
    });

    it('takes it back with an onboarding that is withdrawn', async () => {
      await admit({ onboardingId: second, serialNumber: 'BB02' });
      await accept('BB03', 'BB02');
      await withdraw(second);
      expect(onBroker()).toMatchObject({ certificateSerials: ['AA01'] });
    });

    it('keeps it when the one that it renews is revoked, but renews none that is', async () => {
      await accept('AA02');
      await revoke('AA01');
      expect(onBroker()?.certificateSerials).toEqual(['AA02']);
      await accept('AA02');
      await expect(accept('AA03')).rejects.toMatchObject({ code: 'certificate_revoked' });
      expect(onBroker()?.certificateSerials).toEqual(['AA02']);
    });

    it('does not bring back one that was revoked before it came', async () => {
      await revoke('AA02');
      await expect(accept('AA02')).rejects.toMatchObject({ code: 'certificate_revoked' });
      expect(onBroker()?.certificateSerials).toEqual(['AA01']);
    });

    it('refuses a device that nobody admitted, and the renewal of a certificate that nobody did', async () => {
      await expect(accept('AA02', 'CC01')).rejects.toMatchObject({ code: 'unknown_certificate' });
      await revoke();
      await expect(accept('AA02')).rejects.toMatchObject({ code: 'unknown_device' });
      expect(onBroker()).toBeUndefined();
    });
  });

  describe('withdrawing', () => {
    it('forgets a device that was never named', async () => {
      await admit();
      await withdraw(first);
      await withdraw(first);
      expect(onBroker()).toBeUndefined();
      await expect(assign('kitchen')).rejects.toMatchObject({ code: 'unknown_device' });
    });

    it('leaves a later admission', async () => {
      await admit();
      await admit({ onboardingId: second, serialNumber: 'BB02' });
      await withdraw(first);
      expect(onBroker()?.certificateSerials).toEqual(['BB02']);
      await assign('kitchen');
      expect(onBroker()?.certificateSerials).toEqual(['BB02']);
    });

    it('falls back on an earlier admission that is still open', async () => {
      await admit();
      await admit({ onboardingId: second, serialNumber: 'BB02' });
      await withdraw(second);
      await assign('kitchen');
      expect(onBroker()).toMatchObject({ certificateSerials: ['AA01'] });
    });

    it('knows nothing of what it never admitted', async () => {
      await withdraw(first);
      expect(onBroker()).toBeUndefined();
    });
  });

  describe('revoking', () => {
    it('closes the session of the certificate and leaves the other one', async () => {
      await admit();
      await admit({ onboardingId: second, serialNumber: 'BB02' });
      const bad = admin.connect({ key: { kind: 'device', id: deviceId }, certificateSerial: 'AA01' });
      await revoke('AA01');
      expect(bad?.isOpen).toBe(false);
      expect(onBroker()?.certificateSerials).toEqual(['BB02']);
    });

    it('takes a device without certificates off the broker but not out of its home', async () => {
      await makeHome(`${homeId}-b`);
      await admit();
      await assign('kitchen');
      await revoke('AA01');
      expect(onBroker()).toBeUndefined();
      const theft = admit({ onboardingId: second, homeId: `${homeId}-b`, serialNumber: 'BB02' });
      await expect(theft).rejects.toMatchObject({ code: 'device_already_active' });
      await withdraw(second);
      await expect(theft).rejects.toMatchObject({ code: 'device_already_active' });
    });

    it('frees the device for another home when the device itself is removed', async () => {
      await makeHome(`${homeId}-b`);
      await admit();
      await assign('kitchen');
      await revoke();
      expect(onBroker()).toBeUndefined();
      await admit({ onboardingId: second, homeId: `${homeId}-b`, serialNumber: 'BB02' });
      expect(onBroker()).toMatchObject({ homeId: `${homeId}-b`, certificateSerials: ['BB02'] });
    });
  });

  it('takes many devices at once', async () => {
    const ids = Array.from({ length: 60 }, (_, n) => `many-${count}-${n}`);
    await Promise.all(ids.map((id) => admit({ deviceId: id })));
    expect(ids.every((id) => admin.principals.has(`device/${id}`))).toBe(true);
  });

  it('gives a broker that lost its copy all of it again, page by page', async () => {
    await admit();
    const { username } = await makeHome(homeId);
    const dataSource = await openDataSource({ url: database.url, schema, entities, migrations, log: silentLogger });
    await dataSource.query(
      `INSERT INTO device (device_id, home_id, gateway_id, device_type)
       SELECT 'page-' || n, $1, 'gw', 'light' FROM generate_series(1, 2500) AS n`,
      [homeId],
    );
    await dataSource.query(
      `INSERT INTO device_certificate (device_id, serial_number)
       SELECT 'page-' || n, 'AA' FROM generate_series(1, 2499) AS n`,
    );
    await dataSource.destroy();
    await admin.loseCopy();
    const names = [...admin.principals.keys()];
    expect(names.filter((name) => name.startsWith('device/page-'))).toHaveLength(2_499);
    expect(onBroker()?.certificateSerials).toEqual(['AA01']);
    expect(controllerOnBroker(username)?.role).toBe('administrator');
  });

  it('knows everything after a restart', async () => {
    await admit();
    await assign('kitchen');
    await service.stop();
    admin = new FakeBrokerAdmin();
    service = await start();
    await waitFor(() => onBroker());
    expect(onBroker()).toMatchObject({ certificateSerials: ['AA01'] });
  });
});
