import { randomUUID } from 'node:crypto';
import { createCertificateRequest, generateKeys } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { ServiceHandle } from '@mqtt2go/runtime';
import { Collector, deferred } from '@mqtt2go/testing';
import type { MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DiscoveryStand } from '../testing/discovery-stand.js';
import { Script, startScriptedProvisioning } from '../testing/scripted-provisioning.js';

/** A device on its activation topic; hears what is not its own. */
class Device {
  private readonly reports = new Collector<unknown>();

  private constructor(
    private readonly client: MqttClient,
    private readonly topic: string,
  ) {
    client.on('message', (_topic, payload) => {
      const message = jsonOf(payload);
      if (typeof message === 'object' && message !== null && 'type' in message && message.type === 'report') {
        this.reports.add(message);
      }
    });
  }

  static async connect(stand: DiscoveryStand, topic: string): Promise<Device> {
    const device = new Device(stand.activationBroker.link('device').open('test'), topic);
    await device.client.subscribeAsync(topic, { qos: 1 });
    return device;
  }

  async send(payload: string | Buffer): Promise<void> {
    await this.client.publishAsync(this.topic, payload, { qos: 1 });
  }

  /** The answer to one more question. */
  async ask(value: unknown = 'GET_BROKER_DATA'): Promise<unknown> {
    const before = this.reports.items.length;
    await this.send(JSON.stringify({ type: 'command', timestamp: 0, command_type: 'mqtt_credentials', value }));
    return (await this.reports.first(before + 1)).at(before);
  }

  async answerTo(payload: string | Buffer): Promise<unknown> {
    const before = this.reports.items.length;
    await this.send(payload);
    return (await this.reports.first(before + 1)).at(before);
  }

  close(): Promise<void> {
    return this.client.endAsync();
  }
}

function jsonOf(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}

const brokerData = (value: object) => ({
  type: 'report',
  report_type: 'command_response',
  report_name: 'mqtt_credentials',
  value,
});
const refusal = (reason: string) => brokerData({ event: 'error', reason });

describe('GET_BROKER_DATA', () => {
  let stand: DiscoveryStand;
  let script: Script;
  let provisioning: ServiceHandle | undefined;
  let device: Device;

  const startProvisioning = async (): Promise<void> => {
    provisioning = await startScriptedProvisioning(stand.busBroker.link('provisioning'), script);
  };
  const stopProvisioning = async (): Promise<void> => {
    await provisioning?.stop();
    provisioning = undefined;
  };

  beforeAll(async () => {
    stand = await DiscoveryStand.create();
  });
  afterAll(() => stand.close());
  beforeEach(async () => {
    script = new Script();
    await startProvisioning();
    device = await Device.connect(stand, 'CODE-1/activation');
  });
  afterEach(async () => {
    await device.close();
    await stopProvisioning();
    stand.clock.advance(15 * 60_000);
  });

  it('gives broker and certificate, after provisioning was told', async () => {
    const onboarding_id = randomUUID();
    await stand.announce({ onboarding_id, device_certificate: 'THE BUNDLE' });
    expect(await device.ask()).toMatchObject(
      brokerData({ broker_ip: 'home.example', device_certificate: 'THE BUNDLE' }),
    );
    expect(script.claims).toEqual([{ onboardingId: onboarding_id }]);
  });

  it('names the port where it is not 8883', async () => {
    await stand.announce({ broker_port: 18_883 });
    expect(await device.ask()).toMatchObject(brokerData({ broker_ip: 'home.example', broker_port: 18_883 }));
  });

  it('answers on the form of the topic that it was asked on', async () => {
    await stand.announce();
    const slashed = await Device.connect(stand, '/CODE-1/activation');
    expect(await slashed.ask()).toMatchObject(brokerData({ broker_ip: 'home.example' }));
    await slashed.close();
  });

  it('gives the same answer when asked again, without provisioning and after a restart', async () => {
    await stand.announce();
    const first = await device.ask();
    await stopProvisioning();
    await stand.restart();
    expect(await device.ask()).toEqual(first);
    expect(script.claims).toHaveLength(1);
  });

  it('tells each device that asks while another waits for provisioning', async () => {
    const gate = deferred();
    await stand.announce({ onboarding_id: '00000000-0000-4000-8000-00000000000a' });
    await stand.announce({ device_id: 'lamp-2', activation_code: 'CODE-2' });
    script.answer = async ({ onboardingId }) => {
      if (onboardingId === '00000000-0000-4000-8000-00000000000a') await gate.promise;
      return {};
    };
    const slow = device.ask();
    const other = await Device.connect(stand, 'CODE-2/activation');
    expect(await other.ask()).toMatchObject(brokerData({ broker_ip: 'home.example' }));
    gate.resolve();
    expect(await slow).toMatchObject(brokerData({ broker_ip: 'home.example' }));
    await other.close();
  });

  it('refuses a code that nobody announced', async () => {
    const stranger = await Device.connect(stand, 'CODE-9/activation');
    expect(await stranger.ask()).toMatchObject(refusal('unknown_onboarding'));
    expect(script.claims).toEqual([]);
    await stranger.close();
  });

  it('refuses once the 15 minutes are over, also when they end while it is down', async () => {
    await stand.service.stop();
    await stand.start({ sweepIntervalMs: 3_600_000 });
    await stand.announce();
    stand.clock.advance(15 * 60_000);
    expect(await device.ask()).toMatchObject(refusal('activation_expired'));
    await stand.restart();
    expect(await device.ask()).toMatchObject(refusal(expect.stringMatching(/activation_expired|unknown_onboarding/)));
    expect(script.claims).toEqual([]);
  });

  it('refuses once the device was taken back', async () => {
    const onboarding_id = randomUUID();
    await stand.announce({ onboarding_id });
    await stand.ask({ method: 'DELETE', path: `/activate_device/lamp-1?onboarding_id=${onboarding_id}` });
    expect(await device.ask()).toMatchObject(refusal('unknown_onboarding'));
  });

  it('passes on what provisioning refuses with, and counts it', async () => {
    await stand.announce();
    script.answer = () => {
      throw new Mqtt2goError('activation_expired');
    };
    expect(await device.ask()).toMatchObject(refusal('activation_expired'));
    expect(await stand.service.metrics()).toMatch(/mqtt2go_discovery_refusals_total\{code="activation_expired"/);
    script.answer = () => ({});
    expect(await device.ask()).toMatchObject(brokerData({ broker_ip: 'home.example' }));
  });

  it('says so while the bus is away, and gives no credentials that provisioning has not heard of', async () => {
    await stand.announce();
    stand.busBroker.refuse = true;
    stand.busBroker.disconnectAll();
    expect(await device.ask()).toMatchObject(refusal('unavailable'));
    stand.busBroker.refuse = false;
  });

  it('does not answer an onboarding that was replaced while provisioning thought about it', async () => {
    const later = randomUUID();
    await stand.announce();
    script.answer = async ({ onboardingId }) => {
      if (onboardingId !== later) await stand.announce({ onboarding_id: later, device_certificate: 'LATER' });
      return {};
    };
    expect(await device.ask()).toMatchObject(refusal('unknown_onboarding'));
    expect(await device.ask()).toMatchObject(brokerData({ device_certificate: 'LATER' }));
  });

  describe('in the csr key mode', () => {
    const csrFor = async (deviceId = 'lamp-1') => createCertificateRequest({ deviceId, keys: await generateKeys() });
    const withCsr = (csr: unknown) => ({ request: 'GET_BROKER_DATA', csr });
    const announce = () => stand.announce({ key_mode: 'csr', device_certificate: undefined });

    it('gives the certificate that the claim brought, and the same one again, also after a restart', async () => {
      await announce();
      script.answer = () => ({ deviceCertificate: 'ISSUED' });
      const csr = await csrFor();
      const first = await device.ask(withCsr(csr));
      expect(first).toMatchObject(brokerData({ broker_ip: 'home.example', device_certificate: 'ISSUED' }));
      expect(script.claims).toMatchObject([{ csr }]);
      await stopProvisioning();
      await stand.restart();
      expect(await device.ask(withCsr(csr))).toEqual(first);
      expect(await device.ask()).toEqual(first);
    });

    it('wants a request that can be read', async () => {
      await announce();
      expect(await device.ask()).toMatchObject(refusal('csr_required'));
      expect(await device.ask(withCsr('no PEM'))).toMatchObject(refusal('csr_invalid'));
      expect(script.claims).toEqual([]);
    });

    it('keeps to the first key', async () => {
      await announce();
      script.answer = () => ({ deviceCertificate: 'ISSUED' });
      await device.ask(withCsr(await csrFor()));
      expect(await device.ask(withCsr(await csrFor()))).toMatchObject(refusal('csr_key_mismatch'));
      expect(script.claims).toHaveLength(1);
    });

    it('passes on what the authority refuses with', async () => {
      await announce();
      script.answer = () => {
        throw new Mqtt2goError('csr_name_mismatch');
      };
      expect(await device.ask(withCsr(await csrFor('lamp-2')))).toMatchObject(refusal('csr_name_mismatch'));
    });

    it('keeps what a claim brought when the announcement is repeated', async () => {
      const announcement = stand.announcement({ key_mode: 'csr', device_certificate: undefined });
      await stand.ask({ body: announcement });
      script.answer = () => ({ deviceCertificate: 'ISSUED' });
      const first = await device.ask(withCsr(await csrFor()));
      await stand.ask({ body: announcement });
      expect(await device.ask()).toEqual(first);
    });
  });

  describe('what is no question', () => {
    it.each([
      ['broken JSON', '{"type":"command"'],
      ['no object', '[]'],
      ['wrong types', '{"type":"command","timestamp":0,"command_type":"mqtt_credentials","value":7}'],
      ['another command', '{"type":"command","timestamp":0,"command_type":"reboot","value":"x"}'],
    ])('answers %s with an error report and goes on', async (_what, payload) => {
      await stand.announce();
      expect(await device.answerTo(payload)).toMatchObject({ value: { event: 'error' } });
      expect(await device.ask()).toMatchObject(brokerData({ broker_ip: 'home.example' }));
    });

    it('survives a megabyte of anything', async () => {
      await stand.announce();
      await device.send(Buffer.alloc(1_048_576, 'x'));
      const answers = [await device.ask(), await device.ask()];
      expect(answers).toContainEqual(
        expect.objectContaining(brokerData(expect.objectContaining({ broker_ip: 'home.example' }))),
      );
    });

    it('does not answer reports, its own among them', async () => {
      await stand.announce();
      const first = await device.ask();
      await device.send(JSON.stringify(first));
      expect(await device.ask()).toEqual(first);
    });
  });

  it('counts claims and those who wait', async () => {
    await stand.announce();
    expect(await stand.service.metrics()).toMatch(/mqtt2go_discovery_waiting_activations\{.*\} 1/);
    await device.ask();
    await device.ask();
    expect(await stand.service.metrics()).toMatch(/mqtt2go_discovery_claims_total\{.*\} [1-9]/);
  });
});
