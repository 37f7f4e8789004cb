import { provisioning } from '@mqtt2go/messaging';
import { startTestBroker, type TestBroker, waitFor } from '@mqtt2go/testing';
import type { MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProvisioningStand, type TestDevice } from './testing/provisioning-stand.js';

describe('homes on several brokers', () => {
  let stand: ProvisioningStand;
  let second: TestBroker;
  let people: MqttClient;
  const heard: string[] = [];

  beforeAll(async () => {
    stand = await ProvisioningStand.create();
    second = await startTestBroker();
    stand.neighbours.brokers.set('home-1', 'home-0').set('home-2', 'home-1');
    await stand.start({
      homeBrokers: [
        { name: 'home-0', link: stand.homeBroker.link('provisioning'), host: 'zero.example', port: 8883 },
        { name: 'home-1', link: second.link('provisioning'), host: 'one.example', port: 18_883 },
      ],
    });
    people = second.link('people').open('people');
    people.on('message', (topic, payload) => heard.push(`${topic} ${payload.toString()}`));
    await people.subscribeAsync('#', { qos: 1 });
  });
  afterAll(async () => {
    await people.endAsync(true);
    await stand.close();
    await second.close();
  });

  const say = async (topic: string, command: string, value: unknown): Promise<void> => {
    await people.publishAsync(topic, JSON.stringify({ type: 'command', timestamp: 0, command_type: command, value }), {
      qos: 1,
    });
  };
  const activateOnSecond = ({ deviceId, activationCode }: TestDevice, topic = 'home-2/gw-1/add_device') =>
    say(topic, 'activate_device', { activation_code: activationCode, device_id: deviceId });
  const hears = async (...parts: string[]): Promise<string> =>
    waitFor(
      () => heard.find((line) => line.includes('"report"') && parts.every((part) => line.includes(part))),
      parts[0],
    );

  it('answers where it was asked, and sends the device to its home’s own broker', async () => {
    const device = await stand.mint();
    const { deviceId } = device;
    await activateOnSecond(device);
    await stand.reach(deviceId, 'announced');
    await hears('home-2/gw-1/add_device', 'activate_device', deviceId);
    expect(stand.discovery.waiting.get(deviceId)).toMatchObject({ broker_ip: 'one.example', broker_port: 18_883 });
    await stand.claim(deviceId);
    await say(`${deviceId}/topics`, 'topics', 'GET_DEVICE_TOPICS');
    await stand.reach(deviceId, 'awaiting-name');
    await hears('home-2/gw-1/add_device', 'rename_device', deviceId);
    await say('home-2/gw-1/add_device', 'rename_device', {
      device_id: deviceId,
      device_name: 'Kettle',
      group_id: 'kitchen',
    });
    await stand.reach(deviceId, 'active');
    await hears(`${deviceId}/topics`, `home-2/gw-1/kitchen/socket/${deviceId}`);
    expect(JSON.stringify(stand.heard)).not.toContain(deviceId);
  });

  it('remembers where over a restart', async () => {
    const device = await stand.mint();
    await activateOnSecond(device);
    await stand.reach(device.deviceId, 'announced');
    const [row] = await stand.query('SELECT controller_broker FROM provisioning.onboarding WHERE device_id = $1', [
      device.deviceId,
    ]);
    expect(row).toEqual({ controller_broker: 'home-1' });
    await activateOnSecond(await stand.mint());
    await hears('home-2/gw-1/add_device', 'another_device_is_being_added');
    await stand.bus.call(provisioning.cancelOnboarding, {
      deviceId: device.deviceId,
    });
  });

  it('knows no home on a broker that it is not on', async () => {
    await activateOnSecond(await stand.mint(), 'home-1/gw-1/add_device');
    await hears('home-1/gw-1/add_device', 'unknown_home');
  });

  it('goes on with the homes of the others while one is down, and says so', async () => {
    second.refuse = true;
    second.disconnectAll();
    const [service] = stand.services;
    await waitFor(async () => {
      const report = await service?.health();
      return report?.dependencies.some(({ name, status }) => name === 'home broker home-1' && status === 'down');
    }, 'the broker to be missed');
    expect(await service?.health()).toMatchObject({ status: 'up' });
    await stand.add(await stand.mint());
    second.refuse = false;
  });

  it('starts while one is down, and hears it when it is there', async () => {
    for (const service of stand.services.splice(0)) await service.stop();
    second.refuse = true;
    second.disconnectAll();
    await stand.start({
      homeBrokers: [
        { name: 'home-0', link: stand.homeBroker.link('again'), host: 'zero.example', port: 8883 },
        { name: 'home-1', link: second.link('again'), host: 'one.example', port: 18_883 },
      ],
    });
    await stand.add(await stand.mint());
    second.refuse = false;
    const device = await stand.mint();
    await waitFor(async () => {
      if (!people.connected) return false;
      await activateOnSecond(device).catch(() => undefined);
      return stand.onboarding(device.deviceId).catch(() => undefined);
    }, 'an onboarding on it');
    await stand.reach(device.deviceId, 'announced');
  });
});
