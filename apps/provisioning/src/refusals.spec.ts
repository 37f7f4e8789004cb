import { provisioning } from '@mqtt2go/messaging';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ProvisioningStand, type TestDevice } from './testing/provisioning-stand.js';

const addDevice = 'home-1/gw-1/add_device';

describe('what provisioning refuses', () => {
  let stand: ProvisioningStand;

  beforeAll(async () => {
    stand = await ProvisioningStand.create();
    await stand.start();
  });
  afterEach(() => {
    stand.neighbours.before = () => undefined;
    stand.discovery.instead = () => undefined;
  });
  afterAll(() => stand.close());

  const cancel = (deviceId: string) => stand.bus.call(provisioning.cancelOnboarding, { deviceId });

  /** The answer to an `activate_device`. */
  const refusedActivation = async (device: TestDevice, options: Parameters<ProvisioningStand['activate']>[1] = {}) => {
    const from = stand.heard.length;
    await stand.activate(device, options);
    return stand.refusal('activate_device', options.topic ?? addDevice, from);
  };

  /** The answer to a `rename_device`. */
  const refusedNaming = async (deviceId: string, options: Parameters<ProvisioningStand['rename']>[1] = {}) => {
    const from = stand.heard.length;
    await stand.rename(deviceId, options);
    return stand.refusal('rename_device', options.topic ?? addDevice, from);
  };

  it('goes on after messages that are none', async () => {
    const command = { type: 'command', timestamp: 0, command_type: 'activate_device' };
    const broken: unknown[] = [
      '',
      '{',
      'null',
      '[]',
      '"activate_device"',
      { ...command },
      { ...command, value: 'GET' },
      { ...command, value: { activation_code: 7, device_id: 'a' } },
      { ...command, value: { activation_code: 'A', device_id: 'a/#' } },
      { ...command, value: { activation_code: 'A+', device_id: 'a' } },
      { ...command, value: { activation_code: 'A', device_id: 'x'.repeat(65) } },
      { ...command, value: { activation_code: 'A', device_id: 'a', device_type: 'Not A Type' } },
      { ...command, command_type: 'open_sesame', value: {} },
      { data: { pattern: addDevice }, id: 'reply to me' },
      'x'.repeat(1_000_000),
    ];
    const from = stand.heard.length;
    for (const message of broken) await stand.publish(addDevice, message);
    expect(await stand.refusal('activate_device', addDevice, from)).toBe('malformed_message');
    const device = await stand.mint();
    await stand.activate(device);
    await stand.reach(device.deviceId, 'announced');
    await cancel(device.deviceId);
    const [service] = stand.services;
    expect(await service?.health()).toMatchObject({ status: 'up' });
  });

  it('a home and a gateway that are not there', async () => {
    const device = await stand.mint();
    expect(await refusedActivation(device, { topic: 'home-9/gw-1/add_device' })).toBe('unknown_home');
    expect(await refusedActivation(device, { topic: '/home-1/gw-9/add_device' })).toBe('unknown_home');
  });

  it('a device of which nobody knows what it is', async () => {
    expect(await refusedActivation(stand.someDevice())).toBe('device_type_unknown');
  });

  it('a wrong activation code', async () => {
    const { deviceId } = await stand.mint();
    expect(await refusedActivation({ deviceId, activationCode: 'WRONG' })).toBe('activation_code_wrong');
    await expect(stand.onboarding(deviceId)).rejects.toMatchObject({ code: 'unknown_onboarding' });
  });

  it('a second device while one is being added, and takes it afterwards', async () => {
    const [first, second] = [await stand.mint(), await stand.mint()];
    await stand.activate(first);
    await stand.reach(first.deviceId, 'announced');
    expect(await refusedActivation(second)).toBe('another_device_is_being_added');
    const elsewhere = 'home-1/gw-2/add_device';
    await stand.activate(second, { topic: elsewhere });
    await stand.reach(second.deviceId, 'announced');
    await cancel(second.deviceId);
    await cancel(first.deviceId);
    await stand.activate(second);
    await stand.reach(second.deviceId, 'announced');
    await cancel(second.deviceId);
  });

  it('a code that is pending for another device anywhere', async () => {
    const device = await stand.mint();
    await stand.activate(device);
    const { deviceId } = stand.someDevice();
    await stand.reach(device.deviceId, 'announced');
    const topic = 'home-2/gw-1/add_device';
    const same = { deviceId, activationCode: device.activationCode };
    expect(await refusedActivation(same, { topic, device_type: 'light' })).toBe('activation_code_in_use');
    await cancel(device.deviceId);
    await stand.activate(same, { topic, device_type: 'light' });
    await stand.reach(deviceId, 'announced');
    await cancel(deviceId);
  });

  it('a device that another gateway is adding', async () => {
    const device = await stand.mint();
    await stand.activate(device);
    await stand.reach(device.deviceId, 'announced');
    expect(await refusedActivation(device, { topic: 'home-2/gw-1/add_device' })).toBe('conflict');
    await cancel(device.deviceId);
  });

  it('a device of another home, and takes back what it had begun', async () => {
    const device = await stand.mint();
    stand.neighbours.before = (verb) => {
      if (verb === 'admit') throw new Mqtt2goError('device_already_active');
    };
    expect(await refusedActivation(device)).toBe('device_already_active');
    const ended = await stand.reach(device.deviceId, 'refused');
    expect(ended.reason).toBe('device_already_active');
    expect(stand.told(device.deviceId)).toEqual(['requested', 'refused']);
    await waitFor(() => {
      const { settlements, withdrawals } = stand.neighbours;
      return (
        settlements.some((each) => each.onboardingId === ended.onboardingId && each.outcome === 'abandoned') &&
        withdrawals.some((each) => each.onboardingId === ended.onboardingId)
      );
    }, 'the undo');
  });

  it('keeps a device at home while another home tries to add it', async () => {
    const device = await stand.mint({ key_mode: 'csr' });
    const { deviceId } = device;
    await stand.activate(device);
    await stand.reach(deviceId, 'announced');
    await stand.claim(deviceId, 'a request');
    await stand.askForTopics(deviceId);
    await stand.reach(deviceId, 'awaiting-name');
    await stand.rename(deviceId);
    await stand.reach(deviceId, 'active');

    stand.clock.advance(60_000);
    await stand.activate(device, { topic: 'home-2/gw-1/add_device' });
    const { homeId } = await stand.reach(deviceId, 'announced');
    expect(homeId).toBe('home-2');
    const from = stand.heard.length;
    await stand.askForTopics(deviceId);
    const { value } = await stand.report(({ topic }) => topic === `${deviceId}/topics`, from);
    expect(value).toEqual([`home-1/gw-1/kitchen/socket/${deviceId}`]);
    await stand.rename(deviceId, { name: 'Toaster' });
    await stand.report(({ value: answer }) => answer === 'ok', from);
    expect(await refusedNaming(deviceId, { topic: 'home-2/gw-1/add_device' })).toBe('conflict');
    expect(await stand.onboarding(deviceId)).toMatchObject({ homeId: 'home-2', state: 'announced' });
    await cancel(deviceId);
  });

  it.each(['csr_required', 'csr_invalid', 'csr_name_mismatch', 'csr_key_mismatch', 'key_not_accepted'] as const)(
    'a certificate signing request with %s, and takes a better one within the window',
    async (code) => {
      const device = await stand.mint({ key_mode: 'csr' });
      const { deviceId } = device;
      await stand.activate(device);
      await stand.reach(deviceId, 'announced');
      stand.neighbours.before = (verb) => {
        if (verb === 'issue') throw new Mqtt2goError(code);
      };
      await expect(stand.claim(deviceId, 'a bad request')).rejects.toMatchObject({ code });
      expect(await stand.onboarding(deviceId)).toMatchObject({ state: 'announced' });
      stand.neighbours.before = () => undefined;
      expect(await stand.claim(deviceId, 'a good request')).toContain(deviceId);
      await stand.reach(deviceId, 'claimed');
      await cancel(deviceId);
    },
  );

  it('a claim of a device of another home, for good', async () => {
    const device = await stand.mint({ key_mode: 'csr' });
    await stand.activate(device);
    await stand.reach(device.deviceId, 'announced');
    stand.neighbours.before = (verb) => {
      if (verb === 'admit') throw new Mqtt2goError('device_already_active');
    };
    const from = stand.heard.length;
    await expect(stand.claim(device.deviceId, 'a request')).rejects.toMatchObject({ code: 'device_already_active' });
    expect(await stand.refusal('activate_device', addDevice, from)).toBe('device_already_active');
    await stand.reach(device.deviceId, 'refused');
    await waitFor(() => !stand.discovery.waiting.has(device.deviceId), 'the withdrawal of the announcement');
  });

  it('another request of a device that has its certificate, and nothing more', async () => {
    const device = await stand.mint({ key_mode: 'csr' });
    await stand.activate(device);
    await stand.reach(device.deviceId, 'announced');
    await stand.claim(device.deviceId, 'a request');
    stand.neighbours.before = (verb) => {
      if (verb === 'issue') throw new Mqtt2goError('csr_key_mismatch');
    };
    await expect(stand.claim(device.deviceId, 'another')).rejects.toMatchObject({ code: 'csr_key_mismatch' });
    expect(await stand.onboarding(device.deviceId)).toMatchObject({ state: 'claimed' });
    await cancel(device.deviceId);
  });

  it('claims of onboardings that are not there or over', async () => {
    const onboardingId = '00000000-0000-4000-8000-000000000000';
    const claim = stand.bus.call(provisioning.claimOnboarding, { onboardingId });
    await expect(claim).rejects.toMatchObject({ code: 'unknown_onboarding' });
    const device = await stand.mint();
    await stand.activate(device);
    await stand.reach(device.deviceId, 'announced');
    await cancel(device.deviceId);
    await expect(stand.claim(device.deviceId)).rejects.toMatchObject({ code: 'unknown_onboarding' });
  });

  it('an announcement that the Discovery server refuses', async () => {
    const device = await stand.mint();
    stand.discovery.instead = (method) =>
      method === 'POST' ? { status: 409, body: { status: 409, code: 'activation_code_in_use' } } : undefined;
    expect(await refusedActivation(device)).toBe('activation_code_in_use');
    await stand.reach(device.deviceId, 'refused');
  });

  it('names for devices that are unknown, elsewhere, or not there yet', async () => {
    expect(await refusedNaming('nobody')).toBe('unknown_device');
    const device = await stand.mint();
    await stand.activate(device);
    await stand.reach(device.deviceId, 'announced');
    expect(await refusedNaming(device.deviceId)).toBe('conflict');
    await stand.bringToName(device.deviceId);
    expect(await refusedNaming(device.deviceId, { topic: 'home-2/gw-1/add_device' })).toBe('unknown_device');
    expect(await refusedNaming(device.deviceId, { topic: 'home-1/gw-2/add_device' })).toBe('unknown_device');
    expect(await stand.onboarding(device.deviceId)).toMatchObject({ state: 'awaiting-name' });
    await cancel(device.deviceId);
    expect(await refusedNaming(device.deviceId)).toBe('unknown_device');
  });

  it('names and groups that are not fit', async () => {
    const device = await stand.mint();
    await stand.activate(device);
    const { deviceId } = device;
    await stand.bringToName(deviceId);
    expect(await refusedNaming(deviceId, { name: '' })).toBe('malformed_message');
    expect(await refusedNaming(deviceId, { name: 'x'.repeat(65) })).toBe('malformed_message');
    expect(await refusedNaming(deviceId, { name: 'a\u0000b' })).toBe('malformed_message');
    expect(['malformed_message', 'invalid_identifier']).toContain(await refusedNaming(deviceId, { groups: [] }));
    expect(['malformed_message', 'invalid_identifier']).toContain(await refusedNaming(deviceId, { groups: ['a/#'] }));
    await stand.rename(deviceId);
    await stand.reach(deviceId, 'active');
  });

  it('topics to a device that nobody adds', async () => {
    const from = stand.heard.length;
    await stand.askForTopics('stranger');
    expect(await stand.refusal('topics', 'stranger/topics', from)).toBe('unknown_device');
  });

  it('tells of its own defects as such, once it cannot be mended', async () => {
    const device = await stand.mint();
    await stand.activate(device);
    await stand.bringToName(device.deviceId);
    stand.neighbours.before = () => {
      throw new Error('a defect');
    };
    expect(await refusedNaming(device.deviceId)).toBe('internal');
    stand.neighbours.before = () => undefined;
    await stand.rename(device.deviceId);
    await stand.reach(device.deviceId, 'active');
  });
});
