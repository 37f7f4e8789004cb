import { provisioning } from '@mqtt2go/messaging';
import { openStates, ruleOf } from '@mqtt2go/onboarding';
import { openDataSource, schemaDifferences } from '@mqtt2go/persistence';
import { onboardingStateNames } from '@mqtt2go/protocol';
import { silentLogger, statementsDuring, waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entities } from './entities.js';
import { migrations } from './migrations/index.js';
import { atHomeSql, onTheWaySql, openSql, owedSql, presentSql } from './onboarding/onboarding.entity.js';
import { schema } from './schema.js';
import { ProvisioningStand } from './testing/provisioning-stand.js';

const addDevice = 'home-1/gw-1/add_device';

describe('the good way', () => {
  let stand: ProvisioningStand;

  beforeAll(async () => {
    stand = await ProvisioningStand.create();
    await stand.start();
  });
  afterAll(() => stand.close());

  it('leads a device from its request to its topics', async () => {
    const device = await stand.mint();
    const { deviceId } = device;
    await stand.activate(device);
    await stand.reach(deviceId, 'announced');
    const { onboardingId, deadline } = await stand.onboarding(deviceId);
    const certificate = stand.neighbours.certificates.get(onboardingId);
    expect(stand.discovery.waiting.get(deviceId)).toEqual({
      device_id: deviceId,
      activation_code: device.activationCode,
      onboarding_id: onboardingId,
      revision: '1.0',
      broker_ip: 'home.example',
      key_mode: 'server-key',
      device_certificate: certificate?.deviceCertificate,
      device_type: 'socket',
      expires_at: deadline,
    });
    expect(stand.neighbours.admissions).toContainEqual({
      onboardingId,
      deviceId,
      homeId: 'home-1',
      gatewayId: 'gw-1',
      deviceType: 'socket',
      serialNumber: certificate?.serialNumber,
    });

    await stand.claim(deviceId);
    await stand.reach(deviceId, 'claimed');
    await stand.askForTopics(deviceId);
    const asked = await stand.report(({ report_name: name }) => name === 'rename_device');
    expect(asked).toMatchObject({
      topic: addDevice,
      report_type: 'command_response',
      value: { device_type: 'socket', device_id: deviceId },
    });
    await waitFor(() => !stand.discovery.waiting.has(deviceId), 'the withdrawal of the announcement');

    await stand.rename(deviceId, { groups: ['kitchen', 'downstairs'] });
    const topics = await stand.report(({ report_name: name }) => name === 'topics');
    expect(topics).toMatchObject({
      topic: `${deviceId}/topics`,
      value: [`home-1/gw-1/kitchen/socket/${deviceId}`, `home-1/gw-1/downstairs/socket/${deviceId}`],
    });
    await stand.report(({ report_name: name, value }) => name === 'rename_device' && value === 'ok');
    await stand.reach(deviceId, 'active');
    await waitFor(() => stand.neighbours.settlements.length > 0, 'the settlement');
    expect(stand.neighbours.settlements).toEqual([{ onboardingId, outcome: 'completed' }]);
    expect(stand.told(deviceId)).toEqual(onboardingStateNames.slice(0, 6));
  });

  it('issues to the key of the factory record in the key mode existing-key', async () => {
    const publicKey = await somePublicKey();
    const device = await stand.mint({ key_mode: 'existing-key', public_key: publicKey });
    await stand.add(device);
    const { onboardingId } = await stand.onboarding(device.deviceId);
    const issues = stand.neighbours.issues.filter((issue) => issue.onboardingId === onboardingId);
    expect(issues).toEqual([{ onboardingId, deviceId: device.deviceId, keyMode: 'existing-key', publicKey }]);
  });

  it('certifies in the claim what the device brings in the key mode csr', async () => {
    const device = await stand.mint({ key_mode: 'csr' });
    const { deviceId } = device;
    await stand.activate(device);
    const { onboardingId } = await stand.reach(deviceId, 'announced');
    expect(stand.discovery.waiting.get(deviceId)).not.toHaveProperty('device_certificate');
    expect(stand.neighbours.certificates.has(onboardingId)).toBe(false);
    const certificate = await stand.claim(deviceId, 'a request');
    expect(certificate).toBe(stand.neighbours.certificates.get(onboardingId)?.deviceCertificate);
    expect(await stand.claim(deviceId, 'a request')).toBe(certificate);
    await stand.askForTopics(deviceId);
    await stand.reach(deviceId, 'awaiting-name');
    await stand.rename(deviceId);
    await stand.reach(deviceId, 'active');
    expect(stand.neighbours.admissions.filter((admission) => admission.deviceId === deviceId)).toHaveLength(1);
    expect(stand.told(deviceId)).toEqual(['requested', 'announced', 'claimed', 'awaiting-name', 'active']);
  });

  it('takes a device that nobody has told of, if the request says what it is', async () => {
    const device = stand.someDevice();
    await stand.activate(device, { device_type: 'light' });
    await stand.reach(device.deviceId, 'announced');
    expect(stand.discovery.waiting.get(device.deviceId)).toMatchObject({
      key_mode: 'server-key',
      device_type: 'light',
    });
    await stand.bus.call(provisioning.cancelOnboarding, { deviceId: device.deviceId });
  });

  it('lets the request say what a device is, above the factory record', async () => {
    const device = await stand.mint();
    await stand.activate(device, { device_type: 'light' });
    await stand.reach(device.deviceId, 'announced');
    expect(stand.discovery.waiting.get(device.deviceId)).toMatchObject({ device_type: 'light' });
    await stand.bus.call(provisioning.cancelOnboarding, { deviceId: device.deviceId });
  });

  it('answers on the form of topic that it was asked on', async () => {
    const device = await stand.mint();
    const { deviceId } = device;
    const from = stand.heard.length;
    await stand.activate(device, { topic: `/${addDevice}` });
    await stand.reach(deviceId, 'announced');
    await stand.claim(deviceId);
    await stand.askForTopics(deviceId, `/${deviceId}/topics`);
    await stand.report(({ topic, report_name: name }) => topic === `/${addDevice}` && name === 'rename_device', from);
    await stand.rename(deviceId);
    await stand.report(({ topic, value }) => topic === addDevice && value === 'ok', from);
    await stand.report(({ topic }) => topic === `/${deviceId}/topics`, from);
    await stand.reach(deviceId, 'active');
  });

  it('asks for the name each time a device asks, and answers a named one at once', async () => {
    const device = await stand.mint();
    const { deviceId } = device;
    await stand.activate(device);
    await stand.bringToName(deviceId);
    const asked = (): number =>
      stand.heard.filter(({ type, report_name: name, value }) => {
        return type === 'report' && name === 'rename_device' && JSON.stringify(value).includes(deviceId);
      }).length;
    await waitFor(() => asked() === 1, 'the first question for a name');
    await stand.askForTopics(deviceId);
    await waitFor(() => asked() === 2, 'the second question for a name');
    await stand.rename(deviceId);
    await stand.reach(deviceId, 'active');
    const from = stand.heard.length;
    await stand.askForTopics(deviceId);
    const { value } = await stand.report(({ topic }) => topic === `${deviceId}/topics`, from);
    expect(value).toEqual([`home-1/gw-1/kitchen/socket/${deviceId}`]);
  });

  it('gives another name and other groups to a device that has one', async () => {
    const device = await stand.mint();
    await stand.add(device);
    const from = stand.heard.length;
    await stand.rename(device.deviceId, { name: 'Toaster', groups: 'pantry' });
    const { value } = await stand.report(({ topic }) => topic === `${device.deviceId}/topics`, from);
    expect(value).toEqual([`home-1/gw-1/pantry/socket/${device.deviceId}`]);
    expect(await stand.onboarding(device.deviceId)).toMatchObject({ state: 'active' });
  });

  it('adds a device of the home anew', async () => {
    const device = await stand.mint();
    await stand.add(device);
    const first = await stand.onboarding(device.deviceId);
    stand.clock.advance(60_000);
    await stand.add(device);
    const second = await stand.onboarding(device.deviceId);
    expect(second.onboardingId).not.toBe(first.onboardingId);
    await waitFor(() => {
      const settled = stand.neighbours.settlements.filter(({ onboardingId }) => onboardingId === second.onboardingId);
      return settled.length === 1;
    }, 'the settlement');
  });

  it('takes at most six statements for an onboarding', async () => {
    const device = await stand.mint();
    const { deviceId } = device;
    const sent = await statementsDuring(async () => {
      await stand.activate(device);
      await stand.report(({ value }) => JSON.stringify(value).includes(`${deviceId}","state":"announced`));
      const { onboarding_id: onboardingId } = stand.discovery.waiting.get(deviceId) ?? {};
      await stand.bus.call(provisioning.claimOnboarding, { onboardingId: onboardingId ?? '' });
      await stand.askForTopics(deviceId);
      await stand.report(({ report_name: name, value }) => {
        return name === 'rename_device' && JSON.stringify(value).includes(deviceId);
      });
      await stand.rename(deviceId);
      await stand.report(({ value }) => JSON.stringify(value).includes(`${deviceId}","state":"active`));
    });
    const periodic = /lease_until <= clock_timestamp|lease_until = greatest|"deadline" <=|outbox WHERE|FROM outbox/;
    const statements = sent.filter((sql) => /onboarding|factory_device/.test(sql) && !periodic.test(sql));
    expect(statements).toHaveLength(6);
    await stand.reach(deviceId, 'active');
  });

  it('is healthy, and counts what it does', async () => {
    const [service] = stand.services;
    expect(await service?.health()).toMatchObject({ status: 'up' });
    const metrics = (await service?.metrics()) ?? '';
    expect(metrics).toMatch(/mqtt2go_onboardings_total\{outcome="active",service="provisioning"\} \d+/);
    expect(metrics).toMatch(/mqtt2go_onboarding_step_duration_seconds_count\{.*step="certify".*\} \d+/);
    expect(metrics).toContain('mqtt2go_onboardings_open{state="requested"');
  });

  it('has migrations that make exactly what the entities say, and indexes that follow the machine', async () => {
    const dataSource = await openDataSource({
      url: stand.database.url,
      schema,
      entities,
      migrations,
      log: silentLogger,
    });
    try {
      expect(await schemaDifferences(dataSource)).toEqual([]);
    } finally {
      await dataSource.destroy();
    }
    const list = (states: readonly string[]): string => `state IN (${states.map((state) => `'${state}'`).join(', ')})`;
    expect(openSql).toBe(list(openStates));
    expect(presentSql).toBe(list([...openStates, 'active']));
    expect(onTheWaySql).toBe(list(openStates.filter((state) => state !== 'awaiting-name')));
    expect(atHomeSql).toBe(list(['awaiting-name', 'active']));
    expect(owedSql).toBe(list(onboardingStateNames.filter((state) => ruleOf(state).work)));
  });
});

async function somePublicKey(): Promise<string> {
  const { publicKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const der = Buffer.from(await crypto.subtle.exportKey('spki', publicKey)).toString('base64');
  return `-----BEGIN PUBLIC KEY-----\n${der.replaceAll(/.{64}/g, '$&\n')}\n-----END PUBLIC KEY-----\n`;
}
