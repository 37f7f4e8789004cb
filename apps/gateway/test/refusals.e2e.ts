import { generateKeys, writePrivateKey } from '@mqtt2go/pki';
import { certificateAuthority, provisioning } from '@mqtt2go/messaging';
import { Agent, request as httpRequest } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AheadClock } from './support/ahead-clock.js';
import {
  activateDevice,
  addDeviceTopic,
  announced,
  fetchBrokerData,
  getBrokerData,
  getDeviceTopics,
  join,
  now,
  renameDevice,
  request,
} from './support/joining.js';
import { refusal, report, type Wire } from './support/wire.js';
import { type AppCredentials, createManufacturer, World } from './support/world.js';

/** The same request with another signature. */
function withoutProof(csr: string): string {
  const der = Buffer.from(csr.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const last = der.length - 1;
  der[last] = (der[last] ?? 0) ^ 1;
  return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
}

describe('what is refused, tried from outside', () => {
  const clock = new AheadClock();
  let world: World;
  let app: AppCredentials;
  let controller: Wire;
  let topic: string;

  beforeAll(async () => {
    world = await World.create({ clock });
  });
  afterAll(() => world.close());
  // A home of its own for each test: an onboarding that is left open would refuse the next one.
  beforeEach(async () => {
    app = await world.app();
    controller = await world.connectApp(app);
    topic = addDeviceTopic(app);
    await controller.subscribe(topic);
  });

  /** The service still works: a device can be added. */
  const goesOn = async (): Promise<void> => {
    const place = await world.app();
    const { topics } = await join(world, place, await world.connectApp(place), await world.mint());
    expect(topics).toHaveLength(1);
  };

  describe('messages', () => {
    it('malformed JSON, wrong types and unknown commands get a coded report, and the next message is served', async () => {
      for (const broken of ['{"type":"command"', 'null', '[]', '42', '"text"', Buffer.from([0xff, 0xfe, 0x00])]) {
        controller.forget();
        await controller.publish(topic, broken);
        const { json } = await controller.hear(({ json: heard }) => heard.type === 'report');
        expect(json.value).toEqual({ event: 'error', reason: 'malformed_message' });
      }
      const wrongTypes = [
        { activation_code: 42, device_id: 'x' },
        { activation_code: 'abc' },
        'GET_BROKER_DATA',
        null,
        { activation_code: { a: 1 }, device_id: ['x'] },
      ];
      for (const value of wrongTypes) {
        controller.forget();
        await controller.publish(topic, { type: 'command', timestamp: now(), command_type: 'activate_device', value });
        const { json } = await controller.hear(({ json: heard }) => heard.type === 'report');
        expect(json).toMatchObject({ report_name: 'activate_device', value: { event: 'error' } });
      }
      controller.forget();
      await controller.publish(topic, { type: 'command', timestamp: now(), command_type: 'self_destruct', value: 1 });
      await controller.hear(
        ({ json }) => (json.value as { reason?: string } | undefined)?.reason === 'unknown_command',
      );
      await goesOn();
    });

    it('a payload of 1 MB ends the connection that it came on, and nothing else', async () => {
      const other = await world.connectApp(app);
      const ended = controller.closed();
      controller.publish(topic, 'x'.repeat(1_048_576)).catch(() => undefined);
      await ended;
      expect(other.client.connected).toBe(true);
      await goesOn();
    });

    it.each(['a/b', 'a+', '#', 'a b', '', 'x'.repeat(65), '$SYS'])('the id %j', async (deviceId) => {
      await controller.publish(topic, activateDevice({ code: 'code-1', deviceId }));
      await controller.hear(refusal('activate_device', 'invalid_identifier'));
    });

    it('an activation code that would widen a topic', async () => {
      const device = await world.mint();
      await controller.publish(topic, activateDevice({ code: '+/#', deviceId: device.deviceId }));
      await controller.hear(refusal('activate_device', 'invalid_identifier'));
    });
  });

  describe('requests', () => {
    it('an unknown device, of which nobody knows the type', async () => {
      await controller.publish(topic, activateDevice({ code: 'code-1', deviceId: world.nextId('unknown') }));
      await controller.hear(refusal('activate_device', 'device_type_unknown'));
    });

    it('a wrong code', async () => {
      const device = await world.mint();
      await controller.publish(topic, activateDevice({ ...device, code: 'not-the-code' }));
      await controller.hear(refusal('activate_device', 'activation_code_wrong'));
    });

    it('guessed codes are slowed, and the right one still gets in', async () => {
      const device = await world.mint();
      const started = performance.now();
      for (let guess = 0; guess < 4; guess += 1) {
        controller.forget();
        await controller.publish(topic, activateDevice({ ...device, code: `guess-${guess}` }));
        await controller.hear(({ json }) => (json.value as { event?: string } | undefined)?.event === 'error');
      }
      // Doubling delays from the second wrong code on; the first answers show that they are there at all.
      expect(performance.now() - started).toBeGreaterThan(700);
      const elsewhere = await world.app();
      await request(await world.connectApp(elsewhere), elsewhere, device);
    });

    it('a code that is pending for another device', async () => {
      const device = await world.mint();
      await request(controller, app, device);
      const elsewhere = await world.app();
      const person = await world.connectApp(elsewhere);
      const thief = world.nextId('thief');
      await person.subscribe(addDeviceTopic(elsewhere));
      await person.publish(addDeviceTopic(elsewhere), {
        type: 'command',
        timestamp: now(),
        command_type: 'activate_device',
        value: { activation_code: device.code, device_id: thief, device_type: 'socket' },
      });
      await person.hear(refusal('activate_device', 'activation_code_in_use'));
    });

    it('a second device while one is being added', async () => {
      await request(controller, app, await world.mint());
      await controller.publish(topic, activateDevice(await world.mint()));
      await controller.hear(refusal('activate_device', 'another_device_is_being_added'));
    });

    it('a device that works in another home', async () => {
      const device = await world.mint();
      await join(world, app, controller, device);
      const elsewhere = await world.app();
      const thief = await world.connectApp(elsewhere);
      await thief.subscribe(addDeviceTopic(elsewhere));
      await thief.publish(addDeviceTopic(elsewhere), activateDevice(device));
      await thief.hear(refusal('activate_device', 'device_already_active'));
    });

    it('a rename for an unknown device', async () => {
      await controller.publish(topic, renameDevice(world.nextId('unknown')));
      await controller.hear(refusal('rename_device', 'unknown_device'));
    });

    it('a rename by the controller of another home', async () => {
      const device = await world.mint();
      await request(controller, app, device);
      const elsewhere = await world.app();
      const thief = await world.connectApp(elsewhere);
      await thief.subscribe(addDeviceTopic(elsewhere));
      await thief.publish(addDeviceTopic(elsewhere), renameDevice(device.deviceId));
      await thief.hear(refusal('rename_device', 'unknown_device'));
    });

    it('a replayed request does nothing that was not done: the device keeps its certificate', async () => {
      const device = await world.mint();
      await controller.subscribe(topic);
      const message = activateDevice(device);
      await controller.publish(topic, message);
      await controller.hear(announced(device.deviceId));
      const first = await fetchBrokerData(world, device);
      controller.forget();
      await controller.publish(topic, message);
      await controller.hear(report('activate_device'));
      expect((await fetchBrokerData(world, device)).cert).toBe(first.cert);
    });
  });

  describe('connections', () => {
    it('no certificate and no password', async () => {
      const { ports } = world.platform.file;
      await expect(world.connectApp({ username: '', password: '' })).rejects.toThrow();
      await expect(world.connectApp({ username: app.username, password: 'guess' })).rejects.toThrow(
        /not authorized|bad user/i,
      );
      const { Wire: Plain } = await import('./support/wire.js');
      await expect(Plain.connect(`mqtts://localhost:${ports.activation}`, { ca: world.ca })).rejects.toThrow();
      await expect(Plain.connect(`wss://localhost:${ports.homeWss}`, { ca: world.ca })).rejects.toThrow();
      await expect(
        Plain.connect(`mqtts://localhost:${ports.bus}`, { ca: world.ca, rejectUnauthorized: false }),
      ).rejects.toThrow();
    });

    it('a certificate of a foreign CA, at every door', async () => {
      const foreign = await createManufacturer('Foreign');
      const keys = await generateKeys();
      const device = await world.mint();
      await request(controller, app, device);
      const forged = foreign.issueDevice({ deviceId: device.deviceId, publicKey: keys.publicKey, nowMs: Date.now() });
      const identity = { cert: forged.pem, key: writePrivateKey(keys.privateKey), deviceId: device.deviceId };
      await expect(world.connectToActivation(identity)).rejects.toThrow();
      await expect(world.connectHome(identity)).rejects.toThrow();
    });

    it('a pre-loaded certificate on the home broker', async () => {
      const device = await world.mint();
      await request(controller, app, device);
      await expect(world.connectHome(device)).rejects.toThrow();
    });

    it('an expired certificate', async () => {
      const keys = await generateKeys();
      const deviceId = world.nextId('expired');
      const expired = world.manufacturer.issueDevice({
        deviceId,
        publicKey: keys.publicKey,
        nowMs: Date.now() - 10 * 86_400_000,
        validityMs: 86_400_000,
      });
      await expect(
        world.connectToActivation({ cert: expired.pem, key: writePrivateKey(keys.privateKey), deviceId }),
      ).rejects.toThrow();
    });

    it('a revoked one: the live session is closed and a reconnect can do nothing', async () => {
      const device = await world.mint();
      const { wire, data } = await join(world, app, controller, device);
      const ended = wire.closed();
      await world.serviceIdentity('operator');
      const { revoked } = await world.operator.call(certificateAuthority.revokeCertificates, {
        deviceId: device.deviceId,
        reason: 'keyCompromise',
      });
      expect(revoked.length).toBeGreaterThan(0);
      await ended;
      await expect(world.connectHome({ ...data, deviceId: device.deviceId })).rejects.toThrow();
      const { crl } = await world.operator.call(certificateAuthority.getAuthority, {});
      expect(crl).toContain('X509 CRL');
    });
  });

  describe('topics', () => {
    it('a device on another device’s activation topic', async () => {
      const device = await world.mint();
      const thief = await world.mint();
      await request(controller, app, device);
      const wire = await world.connectToActivation(thief);
      expect(await wire.subscribe(`${device.code}/activation`)).toBe(false);
      expect(await wire.subscribe('+/activation')).toBe(false);
      expect(await wire.subscribe('#')).toBe(false);
      await wire.publish(`${device.code}/activation`, getBrokerData()).catch(() => undefined);
      // Others' guesses have not slowed the device whose code it is.
      await fetchBrokerData(world, device);
    });

    it('a device that was not announced', async () => {
      const device = await world.mint();
      const attempt = world.connectToActivation(device).then((wire) => wire.subscribe(`${device.code}/activation`));
      expect(await attempt.catch(() => false)).toBe(false);
    });

    it('a device on topics of another home, another device, or the platform', async () => {
      const other = await world.app();
      const neighbour = await world.connectApp(other);
      const theirs = await join(world, other, neighbour, await world.mint());
      const device = await world.mint();
      const { wire } = await join(world, app, controller, device);
      const forbidden = [
        theirs.topics[0] ?? '',
        `${other.homeId}/#`,
        `${app.homeId}/#`,
        topic,
        addDeviceTopic(other),
        '#',
        '+/topics',
        '$SYS/#',
        '$CONTROL/mqtt2go-access/v1/response',
        'mqtt2go/#',
      ];
      for (const filter of forbidden) expect([filter, await wire.subscribe(filter)]).toEqual([filter, false]);
      // A forbidden publish reaches nobody.
      await wire
        .publish(theirs.topics[0] ?? '', { type: 'command', command_type: 'set', value: 'on' })
        .catch(() => undefined);
      await neighbour.publish(theirs.topics[0] ?? '', { type: 'command', command_type: 'query', value: 'all' });
      await theirs.wire.hear(({ json }) => json.command_type === 'query');
      expect(theirs.wire.heard.some(({ json }) => json.command_type === 'set')).toBe(false);
    });

    it('a device on anything in its own home but its own leaf, before it has a name and after', async () => {
      const victim = await join(world, app, controller, await world.mint());
      const theirs = victim.topics[0] ?? '';
      const { deviceId } = await world.mint();
      const device = await world.mint();
      await request(controller, app, device);
      const data = await fetchBrokerData(world, device);
      const wire = await world.connectHome({ ...data, deviceId: device.deviceId });
      const gateway = `${app.homeId}/${app.gatewayId}`;
      const own = `${gateway}/living/socket/${device.deviceId}`;
      const forbidden = [
        theirs,
        `${theirs}/#`,
        `${gateway}/living/camera/${device.deviceId}`,
        `${app.homeId}/other-gateway/living/socket/${device.deviceId}`,
        `other-home/${app.gatewayId}/living/socket/${device.deviceId}`,
        `${gateway}/living/socket/${device.deviceId}-2`,
        `${gateway}/living/socket/${deviceId}`,
        `${gateway}/living/socket/+`,
        `${gateway}/living/+/${device.deviceId}`,
        `${app.homeId}/+/living/socket/${device.deviceId}`,
        `${gateway}/living/socket/${device.deviceId}/#`,
        `${gateway}/#`,
        addDeviceTopic(app),
        `${deviceId}/topics`,
        `+/topics`,
      ];
      const expectOwnOnly = async (): Promise<void> => {
        for (const filter of forbidden) expect([filter, await wire.subscribe(filter)]).toEqual([filter, false]);
        // None of these reaches anybody, while what it says on its own topic does.
        for (const target of forbidden.filter((filter) => !/[+#]/.test(filter))) {
          await wire.publish(target, { type: 'command', command_type: 'set', value: 'forged' }).catch(() => undefined);
        }
        for (const topics of [own, `${device.deviceId}/topics`]) expect(await wire.subscribe(topics)).toBe(true);
      };
      expect(await controller.subscribe(`${app.homeId}/#`)).toBe(true);
      await expectOwnOnly();
      await wire.publish(`${device.deviceId}/topics`, getDeviceTopics());
      await controller.hear(
        report('rename_device', (value) => (value as { device_id?: string }).device_id === device.deviceId),
      );
      await controller.publish(addDeviceTopic(app), renameDevice(device.deviceId));
      await wire.hear(report('topics'));
      await expectOwnOnly();
      await wire.publish(own, { type: 'report', value: 'mine' });
      await controller.hear(({ topic: heard, json }) => heard === own && json.value === 'mine');
      for (const listener of [controller, victim.wire]) {
        expect(listener.heard.filter(({ json }) => json.value === 'forged')).toEqual([]);
      }
    });

    it('a controller on the add_device topic of another home', async () => {
      const other = await world.app();
      expect(await controller.subscribe(addDeviceTopic(other))).toBe(false);
      const device = await world.mint();
      const neighbour = await world.connectApp(other);
      await neighbour.subscribe(addDeviceTopic(other));
      await controller.publish(addDeviceTopic(other), activateDevice(device)).catch(() => undefined);
      await neighbour.publish(addDeviceTopic(other), renameDevice('nobody'));
      await neighbour.hear(refusal('rename_device', 'unknown_device'));
      expect(neighbour.heard.some(({ json }) => JSON.stringify(json).includes(device.deviceId))).toBe(false);
    });

    it('a device that is called like a service, or like somebody’s user name', async () => {
      await expect(world.mint({ deviceId: 'provisioning' })).rejects.toThrow();
      await expect(world.mint({ deviceId: app.username })).rejects.toThrow();
      const [deviceId = ''] = app.username.split('@');
      const { wire } = await join(world, app, controller, await world.mint({ deviceId }));
      for (const filter of ['+/topics', addDeviceTopic(app), `${app.homeId}/#`, `${app.homeId}/+/+/+/+`]) {
        expect([filter, await wire.subscribe(filter)]).toEqual([filter, false]);
      }
    });

    it('a controller in a device’s place', async () => {
      const device = await world.mint();
      await join(world, app, controller, device);
      expect(await controller.subscribe(`${device.deviceId}/topics`)).toBe(false);
    });
  });

  describe('time', () => {
    // TLS goes by the machine's own clock: certificates of a platform that is ahead would not be valid yet.
    afterEach(() => clock.reset());

    it('an activation after 15 minutes, and after a restart', async () => {
      const device = await world.mint();
      await request(controller, app, device);
      const wire = await world.connectToActivation(device);
      await wire.subscribe(`${device.code}/activation`);
      clock.advance(15 * 60_000 + 1_000);
      await wire.publish(`${device.code}/activation`, getBrokerData()).catch(() => undefined);
      await controller.hear(
        report('activate_device', (value) => (value as { state?: string }).state === 'expired'),
        60_000,
      );
      expect(wire.heard.some(({ text }) => text.includes('BEGIN CERTIFICATE'))).toBe(false);
      await world.restart();
      await expect(fetchBrokerData(world, device)).rejects.toThrow();
      const { state } = await world.operator.call(provisioning.getOnboarding, { deviceId: device.deviceId });
      expect(state).toBe('expired');
      clock.reset();
      await goesOn();
    });

    it('a certificate from an activation that has expired', async () => {
      const device = await world.mint();
      await request(controller, app, device);
      const data = await fetchBrokerData(world, device);
      clock.advance(15 * 60_000 + 1_000);
      await controller.hear(
        report('activate_device', (value) => (value as { state?: string }).state === 'expired'),
        60_000,
      );
      await expect
        .poll(
          () =>
            world.connectHome({ ...data, deviceId: device.deviceId }).then(
              () => 'in',
              () => 'refused',
            ),
          { timeout: 30_000 },
        )
        .toBe('refused');
    });
  });

  describe('certificate requests', () => {
    const ask = async (device: Awaited<ReturnType<World['mint']>>, csr: string): Promise<Wire> => {
      const wire = await world.connectToActivation(device);
      await wire.subscribe(`${device.code}/activation`);
      await wire.publish(`${device.code}/activation`, getBrokerData({ request: 'GET_BROKER_DATA', csr }));
      return wire;
    };

    it('one that names another device, one with another key than before, one without proof, and none', async () => {
      const device = await world.mint({ keyMode: 'csr' });
      await request(controller, app, device);
      const keys = await generateKeys();
      const named = await ask(device, world.csr('somebody-else', keys));
      await named.hear(refusal('mqtt_credentials', 'csr_name_mismatch'));

      const good = world.csr(device.deviceId, keys);
      const broken = await ask(device, withoutProof(good));
      await broken.hear(refusal('mqtt_credentials', 'csr_invalid'));

      const without = await world.connectToActivation(device);
      await without.subscribe(`${device.code}/activation`);
      await without.publish(`${device.code}/activation`, getBrokerData());
      await without.hear(refusal('mqtt_credentials', 'csr_required'));

      const right = await ask(device, good);
      await right.hear(
        report(
          'mqtt_credentials',
          (value) => typeof (value as { device_certificate?: string }).device_certificate === 'string',
        ),
      );
      const other = await ask(device, world.csr(device.deviceId, await generateKeys()));
      await other.hear(refusal('mqtt_credentials', 'csr_key_mismatch'));
    });

    it('one with the key of another device', async () => {
      const first = await world.mint();
      await join(world, app, controller, first);
      const device = await world.mint({ keyMode: 'csr' });
      await request(controller, app, device);
      const wire = await ask(device, world.csr(device.deviceId, first.keys));
      await wire.hear(refusal('mqtt_credentials', 'csr_key_mismatch'));
    });
  });

  describe('Discovery REST', () => {
    const call = async (identity: { cert?: string; key?: string }): Promise<number> => {
      const dispatcher = new Agent({ connect: { ca: world.ca, ...identity } });
      try {
        const { statusCode, body } = await httpRequest(
          `https://localhost:${world.platform.file.ports.discovery}/activate_device`,
          {
            method: 'POST',
            dispatcher,
            headers: { 'content-type': 'application/json' },
            body: '{}',
          },
        );
        await body.dump();
        return statusCode;
      } finally {
        await dispatcher.close();
      }
    };

    it('is closed to anybody without a service certificate, and to other services', async () => {
      await expect(call({})).rejects.toThrow();
      const device = await world.mint();
      await expect(call({ cert: device.cert, key: device.key })).rejects.toThrow();
      const { cert, key } = await world.serviceIdentity('topic-generator');
      expect(await call({ cert, key })).toBe(403);
      const own = await world.serviceIdentity('provisioning');
      expect(await call({ cert: own.cert, key: own.key })).toBe(400);
    });
  });

  it('a device that asks for topics twice is answered twice, and nothing is done twice', async () => {
    const device = await world.mint();
    const { wire, topics } = await join(world, app, controller, device);
    wire.forget();
    await wire.publish(`${device.deviceId}/topics`, getDeviceTopics());
    expect((await wire.hear(report('topics'))).json.value).toEqual(topics);
  });
});
