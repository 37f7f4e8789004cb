import { Collector, startTestBroker, type TestBroker, waitFor, within } from '@mqtt2go/testing';
import type { Mqtt2goError } from '@mqtt2go/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AddDeviceRequest, AddProgress } from './adding/adding-types.js';
import { Controller, type ControllerOptions } from './controller.js';
import type { DeviceReport } from './wire.js';

const addTopic = 'home/gw/add_device';
const deviceTopic = 'home/gw/kitchen/socket/socket-1';
const request: AddDeviceRequest = {
  deviceId: 'socket-1',
  activationCode: 'code-1',
  naming: { name: 'Kettle', groupIds: ['kitchen'] },
};

type Json = Record<string, unknown>;
const report = (reportName: string, value: unknown, reportType = 'command_response'): Json => ({
  type: 'report',
  report_type: reportType,
  timestamp: 1,
  report_name: reportName,
  value,
});
const state = (name: string, deviceId = 'socket-1'): Json =>
  report('activate_device', { device_id: deviceId, state: name }, 'status');
const nameWanted = (deviceId = 'socket-1'): Json =>
  report('rename_device', { device_type: 'socket', device_id: deviceId });
const refused = (command: string, reason: string): Json => report(command, { event: 'error', reason });
const renamed = report('rename_device', 'ok');

describe('a controller', () => {
  let broker: TestBroker;
  let commands: Collector<Json>;
  /** What the platform or the device says to a command. */
  let answers: (command: Json, topic: string) => readonly Json[];
  let controllers: Controller[];

  beforeEach(async () => {
    broker = await startTestBroker();
    commands = new Collector();
    controllers = [];
    answers = () => [];
    broker.aedes.on('publish', (packet, client) => {
      if (client === null) return;
      const json: unknown = JSON.parse(packet.payload.toString());
      const command: Json = { ...(typeof json === 'object' ? json : {}) };
      if (command['type'] !== 'command') return;
      commands.add(command);
      for (const answer of answers(command, packet.topic)) say(answer, packet.topic);
    });
  });
  afterEach(async () => {
    await Promise.all(controllers.map((controller) => controller.close()));
    await broker.close();
  });

  function say(message: Json, topic = addTopic): void {
    const payload = JSON.stringify(message);
    broker.aedes.publish({ cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false }, () => undefined);
  }

  function controller(change: Partial<ControllerOptions> = {}): Controller {
    const link = broker.link('controller');
    const made = new Controller({
      url: 'mqtts://in-process',
      username: 'user',
      password: 'secret',
      homeId: 'home',
      gatewayId: 'gw',
      reconnectMs: 10,
      open: (options) => link.open('', options),
      ...change,
    });
    controllers.push(made);
    return made;
  }

  const goodPlatform = (command: Json): Json[] =>
    command['command_type'] === 'activate_device'
      ? [state('requested'), state('certified'), state('announced'), nameWanted()]
      : [renamed, state('active')];

  it('follows its home to another broker, and says again there what it wanted', async () => {
    const urls: string[] = [];
    let connections = 0;
    answers = (command) =>
      connections === 1
        ? [
            report('mqtt_credentials', { broker_ip: 'cloud.example', broker_port: 8883 }),
            refused('activate_device', 'home_has_moved'),
          ]
        : goodPlatform(command);
    const link = broker.link('controller');
    const adding = controller({
      open: (options) => {
        connections += 1;
        return link.open('', options);
      },
      onMoved: (url) => urls.push(url),
    }).addDevice(request);
    await expect(adding).resolves.toMatchObject({ deviceId: 'socket-1', groupIds: ['kitchen'] });
    expect({ urls, connections }).toEqual({ urls: ['mqtts://cloud.example:8883'], connections: 2 });
  });

  it('gives up where its home has gone without a word where to', async () => {
    answers = () => [refused('activate_device', 'home_has_moved')];
    await expect(controller().addDevice(request)).rejects.toMatchObject({ code: 'home_has_moved' });
  });

  it('adds a device and names it', async () => {
    answers = goodPlatform;
    const progress: AddProgress[] = [];
    const added = await controller().addDevice({ ...request, onProgress: (step) => progress.push(step) });
    expect(added).toEqual({
      deviceId: 'socket-1',
      deviceType: 'socket',
      name: 'Kettle',
      groupIds: ['kitchen'],
      topics: [deviceTopic],
    });
    expect(progress.flatMap((entry) => (entry.kind === 'step' ? [entry.step] : []))).toEqual([1, 2, 10, 11]);
    expect(commands.items).toEqual([
      expect.objectContaining({
        command_type: 'activate_device',
        value: { activation_code: 'code-1', device_id: 'socket-1' },
      }),
      expect.objectContaining({
        command_type: 'rename_device',
        value: { device_id: 'socket-1', device_name: 'Kettle', group_id: 'kitchen' },
      }),
    ]);
  });

  it('listens before it asks, as the standard wants', async () => {
    answers = goodPlatform;
    const order: string[] = [];
    broker.aedes.on('subscribe', () => order.push('subscribe'));
    broker.aedes.on('publish', (packet) => packet.topic === addTopic && order.push('publish'));
    await controller().addDevice(request);
    expect(order.slice(0, 2)).toEqual(['subscribe', 'publish']);
  });

  it('asks the person for the name when the device is there, once', async () => {
    answers = (command) =>
      command['command_type'] === 'activate_device' ? [nameWanted(), nameWanted()] : [nameWanted(), renamed];
    const asked: unknown[] = [];
    const added = await controller().addDevice({
      ...request,
      naming: async (device) => {
        asked.push(device);
        return { name: 'Lamp', groupIds: ['hall', 'all'] };
      },
    });
    expect(asked).toEqual([{ deviceId: 'socket-1', deviceType: 'socket' }]);
    expect(added.topics).toEqual(['home/gw/hall/socket/socket-1', 'home/gw/all/socket/socket-1']);
    expect(commands.items[1]).toMatchObject({ value: { group_id: ['hall', 'all'] } });
  });

  it('passes over what concerns another device', async () => {
    answers = (command) =>
      command['command_type'] === 'activate_device'
        ? [state('expired', 'other'), nameWanted('other'), nameWanted()]
        : [state('active', 'other'), renamed];
    await expect(controller().addDevice(request)).resolves.toMatchObject({ deviceId: 'socket-1' });
  });

  it('passes over the refusal of another controller’s request', async () => {
    answers = () => [];
    const adding = controller().addDevice(request);
    await commands.first(1);
    say(state('announced'));
    const foreign = { type: 'command', timestamp: 1, command_type: 'activate_device' };
    say({ ...foreign, value: { activation_code: 'code-2', device_id: 'other' } });
    say(refused('activate_device', 'another_device_is_being_added'));
    answers = goodPlatform;
    say(nameWanted());
    await expect(adding).resolves.toMatchObject({ deviceId: 'socket-1' });
  });

  it.each(['unknown_device', 'activation_code_wrong', 'activation_code_in_use', 'another_device_is_being_added'])(
    'tells the platform’s refusal by its code (%s)',
    async (code) => {
      answers = () => [refused('activate_device', code)];
      await expect(controller().addDevice(request)).rejects.toMatchObject({ code });
    },
  );

  it('tells that the name was refused', async () => {
    answers = (command) =>
      command['command_type'] === 'activate_device' ? [nameWanted()] : [refused('rename_device', 'invalid_identifier')];
    await expect(controller().addDevice(request)).rejects.toMatchObject({ code: 'invalid_identifier' });
  });

  it.each([
    ['expired', 'activation_expired'],
    ['cancelled', 'conflict'],
    ['active', 'conflict'],
  ])('ends when the onboarding does (%s)', async (name, code) => {
    answers = () => [state(name)];
    await expect(controller().addDevice(request)).rejects.toMatchObject({ code });
  });

  it('asks again when nobody answers, and after a refusal that may pass', async () => {
    answers = (command) => {
      if (commands.items.length === 1) return [];
      return commands.items.length === 2 ? [refused('activate_device', 'unavailable')] : goodPlatform(command);
    };
    await controller({ repeatMs: 20 }).addDevice(request);
    expect(commands.items.map((command) => command['command_type'])).toEqual([
      'activate_device',
      'activate_device',
      'activate_device',
      'rename_device',
    ]);
  });

  it('does not ask again while the platform waits for the device', async () => {
    answers = () => [state('announced')];
    const aborting = new AbortController();
    const adding = controller({ repeatMs: 400 }).addDevice({ ...request, signal: aborting.signal });
    await commands.first(1);
    // A second request would have been made long before this answer.
    await controller()
      .send(deviceTopic, 'query', 'all', { timeoutMs: 1_000 })
      .catch(() => undefined);
    expect(commands.items.filter((command) => command['command_type'] === 'activate_device')).toHaveLength(1);
    aborting.abort(new Error('enough'));
    await expect(adding).rejects.toThrow('enough');
  });

  it('says again what was lost with the connection', async () => {
    const adding = controller().addDevice(request);
    await commands.first(1);
    answers = (command) => (command['command_type'] === 'activate_device' ? [nameWanted()] : []);
    broker.disconnectAll();
    await commands.first(3);
    expect(commands.items[2]).toMatchObject({ command_type: 'rename_device' });
    answers = goodPlatform;
    broker.disconnectAll();
    await within(adding, 'the device is added');
    expect(commands.items[3]).toMatchObject({ command_type: 'rename_device' });
  });

  it('comes again to a broker that refused it on its way back', async () => {
    const adding = controller().addDevice(request);
    await commands.first(1);
    answers = goodPlatform;
    let refusals = 0;
    broker.aedes.authenticate = (_client, _username, _password, done) => {
      refusals++;
      if (refusals > 2) done(null, true);
      else done(Object.assign(new Error('not yet'), { returnCode: refusals === 1 ? 3 : 4 }), false);
    };
    broker.disconnectAll();
    await within(adding, 'the device is added');
    expect(refusals).toBe(3);
  });

  it('gives up after the time that it has', async () => {
    await expect(controller({ giveUpMs: 20 }).addDevice(request)).rejects.toMatchObject({ code: 'timeout' });
  });

  it('adds one device at a time', async () => {
    const one = controller();
    const aborting = new AbortController();
    const adding = one.addDevice({ ...request, signal: aborting.signal });
    await expect(one.addDevice(request)).rejects.toMatchObject({ code: 'another_device_is_being_added' });
    aborting.abort();
    await expect(adding).rejects.toBeDefined();
  });

  it('adds one device after the other', async () => {
    answers = goodPlatform;
    const one = controller();
    for (let round = 0; round < 20; round++) await within(one.addDevice(request), `device ${round}`);
  });

  it('does not send what the standard does not allow', async () => {
    await expect(controller().addDevice({ ...request, deviceId: 'a/b' })).rejects.toMatchObject({
      code: 'invalid_identifier',
    });
    expect(commands.items).toEqual([]);
  });

  it('is told when user name or password are wrong, and that nobody is there', async () => {
    broker.aedes.authenticate = (_client, _username, _password, done) =>
      done(Object.assign(new Error('no'), { returnCode: 4 }), false);
    await expect(controller().connect()).rejects.toMatchObject({ code: 'forbidden' });
    const nowhere = controller({ open: undefined, url: 'mqtt://127.0.0.1:1' });
    await expect(nowhere.connect()).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('is told to wait by a broker that has come back and does not know it yet, and in the end that it is not let in', async () => {
    const known = broker.aedes.authenticate;
    const one = controller({ reconnectMs: 100 });
    await one.connect();
    let refusals = 0;
    broker.aedes.authenticate = (_client, _username, _password, done) => {
      refusals += 1;
      done(Object.assign(new Error('no'), { returnCode: 5 }), false);
    };
    const codes = new Set<string>();
    const codeOf = (): Promise<string> =>
      one.send(deviceTopic, 'set', 'on').then(String, ({ code }: Mqtt2goError) => code);
    broker.disconnectAll();
    await waitFor(() => refusals === 1);
    expect(await codeOf()).toBe('unavailable');
    await waitFor(async () => codes.add(await codeOf()).has('forbidden'), 'it is told that it is not let in');
    expect(refusals).toBeGreaterThanOrEqual(4);
    expect([...codes].sort()).toEqual(['forbidden', 'unavailable']);
    broker.aedes.authenticate = known;
    answers = () => [report('set', 'ok')];
    await waitFor(async () => (await codeOf()) === 'ok', 'it is let in again');
  });

  it('is told that it may not listen there', async () => {
    broker.aedes.authorizeSubscribe = (_client, _subscription, done) => done(null, null);
    const error: unknown = await controller()
      .addDevice(request)
      .catch((reason: Mqtt2goError) => reason);
    expect(error).toMatchObject({ code: 'forbidden' });
  });

  describe('with a device', () => {
    it('commands it and gives its answer', async () => {
      answers = () => [report('state', { state: 'on' }, 'status'), report('set', 'ok')];
      expect(await controller().send(deviceTopic, 'set', 'on')).toBe('ok');
    });

    it('needs no acknowledgement for that, and leaves without one', async () => {
      broker.aedes.authorizePublish = (_client, { topic }) => say(report('set', 'ok'), topic);
      const patient = controller();
      expect(await patient.send(deviceTopic, 'set', 'on')).toBe('ok');
      await within(patient.close(), 'the end of the connection');
    });

    it('sends nothing again that nobody waits for any more', async () => {
      const sent: string[] = [];
      broker.aedes.authorizePublish = (_client, { topic }) => sent.push(topic);
      const patient = controller();
      await expect(patient.send(deviceTopic, 'set', 'on', { timeoutMs: 20 })).rejects.toMatchObject({
        code: 'timeout',
      });
      broker.disconnectAll();
      const reports = new Collector<DeviceReport>();
      await patient.watch(deviceTopic, (one) => reports.add(one)).catch(() => patient.connect());
      expect(sent).toEqual([deviceTopic]);
    });

    it('tells its refusal', async () => {
      answers = () => [refused('set', 'malformed_message')];
      await expect(controller().send(deviceTopic, 'set', 'sideways')).rejects.toMatchObject({
        code: 'malformed_message',
      });
    });

    it('tells that it does not answer', async () => {
      await expect(controller().send(deviceTopic, 'set', 'on', { timeoutMs: 20 })).rejects.toMatchObject({
        code: 'timeout',
      });
    });

    it('follows its reports until it has seen enough, through a lost connection, its own commands left out', async () => {
      const reports = new Collector<DeviceReport>();
      const follower = controller();
      const stop = await follower.watch(deviceTopic, (one) => reports.add(one));
      say({ type: 'command', timestamp: 1, command_type: 'set', value: 'on' }, deviceTopic);
      say(report('state', { state: 'on' }, 'CamelCase'), deviceTopic);
      say(report('state', { state: 'on' }, 'PeriodicReport'), deviceTopic);
      await reports.first(1);
      let subscribed = false;
      broker.aedes.on('subscribe', () => {
        subscribed = true;
      });
      broker.disconnectAll();
      await waitFor(() => subscribed);
      say(report('state', { state: 'off' }, 'status'), deviceTopic);
      await reports.first(2);
      stop();
      expect(reports.items).toEqual([
        {
          topic: deviceTopic,
          reportType: 'periodic_report',
          reportName: 'state',
          value: { state: 'on' },
          timestamp: 1,
        },
        { topic: deviceTopic, reportType: 'status', reportName: 'state', value: { state: 'off' }, timestamp: 1 },
      ]);
    });
  });
});
