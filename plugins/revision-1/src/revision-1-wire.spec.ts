import {
  encodeMessage,
  type ErrorCode,
  type Inbound,
  messageLimits,
  Mqtt2goError,
  type Outbound,
  type Reading,
  type ReplyPath,
} from '@mqtt2go/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Revision1Wire } from './revision-1-wire.js';

const wire = new Revision1Wire();
const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const command = (type: string, value: unknown, more: object = {}): Uint8Array =>
  bytes({ type: 'command', timestamp: 1767323045, command_type: type, value, ...more });
const addDevice = 'home-1/gw-1/add_device';
const at = (topic: string): ReplyPath => ({ revision: '1.0', topic });

function messageOf<M extends Inbound>(reading: Reading<M>): M {
  if (reading.outcome !== 'message') throw new Error(`not a message: ${JSON.stringify(reading)}`);
  return reading.message;
}

function refusalOf(reading: Reading): { code: ErrorCode; command: string | undefined; topic: string | undefined } {
  if (reading.outcome !== 'refused') throw new Error(`not refused: ${JSON.stringify(reading)}`);
  return { code: reading.error.code, command: reading.command, topic: reading.reply?.topic };
}

describe('activate_device', () => {
  const value = { activation_code: 'code-1', device_id: 'dev-1' };
  const expected = {
    kind: 'activate-device',
    homeId: 'home-1',
    gatewayId: 'gw-1',
    activationCode: 'code-1',
    deviceId: 'dev-1',
    reply: at(addDevice),
  };

  it('is read in the form of the seed', () => {
    const seed = `{
	"type": "command",
	"timestamp": "timestamp_value",
	"command_type": "activate_device",
	"value": {
		"activation_code": "activation_code",
		"device_id": "device_id"
	}
}`;
    expect(wire.readHome(addDevice, bytes(seed))).toEqual({
      outcome: 'message',
      message: { ...expected, activationCode: 'activation_code', deviceId: 'device_id' },
    });
  });

  it('is answered on the form of topic that it came on', () => {
    expect(messageOf(wire.readHome(`/${addDevice}`, command('activate_device', value)))).toEqual({
      ...expected,
      reply: at(`/${addDevice}`),
    });
  });

  it('takes the device type of Rev 1.2', () => {
    const reading = wire.readHome(addDevice, command('activate_device', { ...value, device_type: 'socket' }));
    expect(messageOf(reading)).toEqual({ ...expected, deviceType: 'socket' });
  });

  it.each([1767323045, 1767323045678, '1767323045', '1767323045678', -5, 1e300, null, 'yesterday', {}, undefined])(
    'is never refused for its timestamp: %j',
    (timestamp) => {
      expect(messageOf(wire.readHome(addDevice, command('activate_device', value, { timestamp })))).toEqual(expected);
    },
  );

  it.each([
    ['home/1', 'dev'],
    ['code', '+'],
    ['#', 'dev'],
    ['code', 'a'.repeat(65)],
    ['', 'dev'],
    ['code', '$SYS'],
    ['code', 'dev\u0000'],
  ])('is refused with a code of its own for the ids %j and %j', (activation_code, device_id) => {
    const reading = wire.readHome(addDevice, command('activate_device', { activation_code, device_id }));
    expect(refusalOf(reading)).toEqual({ code: 'invalid_identifier', command: 'activate-device', topic: addDevice });
  });

  it.each([
    [{ activation_code: 'code' }],
    [{ activation_code: 5, device_id: 'dev' }],
    [{ activation_code: ['code'], device_id: 'dev' }],
    ['code'],
    [null],
    [[]],
    [{ activation_code: 5, device_id: 'a/b' }],
  ])('is malformed with the value %j', (value) => {
    const reading = wire.readHome(addDevice, command('activate_device', value));
    expect(refusalOf(reading)).toEqual({ code: 'malformed_message', command: 'activate-device', topic: addDevice });
  });
});

describe('rename_device', () => {
  const value = { device_id: 'dev-1', device_name: 'Lampe im Flur 💡', group_id: 'hall' };
  const read = (group_id: unknown) => wire.readHome(addDevice, command('rename_device', { ...value, group_id }));

  it('takes one group as a string or several as a list', () => {
    const one = messageOf(read('hall'));
    expect(one).toEqual({
      kind: 'rename-device',
      homeId: 'home-1',
      gatewayId: 'gw-1',
      deviceId: 'dev-1',
      deviceName: 'Lampe im Flur 💡',
      groupIds: ['hall'],
      reply: at(addDevice),
    });
    expect(messageOf(read(['hall']))).toEqual(one);
    expect(messageOf(read(['hall', 'attic', 'hall']))).toMatchObject({ groupIds: ['hall', 'attic'] });
  });

  it.each(['a/b', ['hall', '#'], 'add_device', ['add_unsupported'], ['']])('refuses the group %j as an id', (group) => {
    expect(refusalOf(read(group))).toMatchObject({ code: 'invalid_identifier', command: 'rename-device' });
  });

  it.each([[[]], 5, null, [[['hall']]], { id: 'hall' }, [Array.from({ length: 33 }, (_, i) => `g${i}`)]])(
    'refuses the groups %j as malformed',
    (group) => {
      expect(refusalOf(read(group))).toMatchObject({ code: 'malformed_message', command: 'rename-device' });
    },
  );

  it.each(['', 'a\u0000b', 'a\nb', '\ud800', 'x'.repeat(129), 7])('refuses the name %j', (device_name) => {
    const reading = wire.readHome(addDevice, command('rename_device', { ...value, device_name }));
    expect(refusalOf(reading)).toMatchObject({ code: 'malformed_message', command: 'rename-device' });
  });
});

describe('GET_DEVICE_TOPICS', () => {
  it.each([
    ['dev-1/topics', 'topics', 'GET_DEVICE_TOPICS'],
    ['/dev-1/topics', 'topics', 'GET_DEVICE_TOPICS'],
    ['dev-1/topic', 'topic', 'GET_DEVICE_TOPIC'],
    ['/dev-1/topic', 'topic', 'GET_DEVICE_TOPIC'],
    ['dev-1/topics', 'topic', 'GET_DEVICE_TOPIC'],
  ])('is read on %s as %s %s', (topic, type, value) => {
    expect(messageOf(wire.readHome(topic, command(type, value)))).toEqual({
      kind: 'get-device-topics',
      deviceId: 'dev-1',
      reply: at(topic),
    });
  });

  it('tells the command even of a message that cannot be read: there is no other on this topic', () => {
    const expected = { command: 'get-device-topics', topic: 'dev-1/topics' };
    expect(refusalOf(wire.readHome('dev-1/topics', bytes('{')))).toEqual({ code: 'malformed_message', ...expected });
    expect(refusalOf(wire.readHome('dev-1/topics', command('topics', 'GIVE')))).toEqual({
      code: 'malformed_message',
      ...expected,
    });
    expect(refusalOf(wire.readHome('dev-1/topics', command('set', 'on')))).toEqual({
      code: 'unknown_command',
      ...expected,
    });
  });
});

describe('GET_BROKER_DATA', () => {
  it('is read in the plain form and with a signing request', () => {
    const expected = { kind: 'get-broker-data', activationCode: 'code-1', reply: at('code-1/activation') };
    const read = (value: unknown) => wire.readActivation('code-1/activation', command('mqtt_credentials', value));
    expect(messageOf(read('GET_BROKER_DATA'))).toEqual(expected);
    expect(messageOf(read({ request: 'GET_BROKER_DATA' }))).toEqual(expected);
    expect(messageOf(read({ request: 'GET_BROKER_DATA', csr: 'PEM' }))).toEqual({ ...expected, csr: 'PEM' });
  });

  it.each([{ request: 'GET' }, 'GET_CREDENTIALS', { request: 'GET_BROKER_DATA', csr: 5 }, null])(
    'refuses %j',
    (value) => {
      expect(refusalOf(wire.readActivation('code-1/activation', command('mqtt_credentials', value)))).toEqual({
        code: 'malformed_message',
        command: 'get-broker-data',
        topic: 'code-1/activation',
      });
    },
  );
});

describe('messages that are none', () => {
  const broken: readonly [string, Uint8Array, ErrorCode][] = [
    ['no bytes at all', bytes(''), 'malformed_message'],
    ['no JSON', bytes('{"type":"command",'), 'malformed_message'],
    ['broken UTF-8', Uint8Array.of(0x22, 0xc3, 0x28, 0x22), 'malformed_message'],
    ['a JSON text that is no object', bytes('[1]'), 'malformed_message'],
    ['an object without a type', bytes({ value: 'x' }), 'malformed_message'],
    ['a command without a name', bytes({ type: 'command', value: 'x' }), 'malformed_message'],
    ['a command with a name that is no string', bytes({ type: 'command', command_type: {} }), 'malformed_message'],
    ['a prototype', bytes('{"type":"command","command_type":"activate_device","__proto__":{}}'), 'malformed_message'],
    ['1 MB', bytes(`"${'x'.repeat(1 << 20)}"`), 'message_too_large'],
    ['10,000 brackets', bytes('['.repeat(10_000)), 'malformed_message'],
    ['a command that nobody knows', command('make_coffee', 'now'), 'unknown_command'],
    ['a command of the prototype', command('constructor', 'now'), 'unknown_command'],
  ];

  it.each(broken)('refuses %s, and says so on the topic it came on', (_, payload, code) => {
    expect(refusalOf(wire.readHome(addDevice, payload))).toEqual({ code, command: undefined, topic: addDevice });
  });

  it('refuses ids in a topic that are none, without an answer, and ignores topics of others', () => {
    expect(refusalOf(wire.readHome('ho me/gw/add_device', command('activate_device', {})))).toEqual({
      code: 'invalid_identifier',
      command: undefined,
      topic: undefined,
    });
    expect(refusalOf(wire.readActivation('co de/activation', bytes('x')))).toMatchObject({ topic: undefined });
    expect(wire.readHome('home/gw/group/socket/dev', command('set', 'on'))).toEqual({ outcome: 'ignored' });
    expect(wire.readHome('code/activation', command('mqtt_credentials', 'GET_BROKER_DATA'))).toEqual({
      outcome: 'ignored',
    });
    expect(wire.readActivation(addDevice, command('activate_device', {}))).toEqual({ outcome: 'ignored' });
  });
});

describe('what is written', () => {
  const timestamp = Math.floor(nowMs / 1000);
  const write = (message: Outbound, topic: string): unknown => {
    const publication = wire.write(message, at(topic), nowMs);
    expect(publication.topic).toBe(topic);
    return JSON.parse(publication.payload);
  };

  it('gives broker data as the seed does, and a port only if it is not 8883', () => {
    const data: Outbound = {
      kind: 'broker-data',
      brokerHost: 'broker.example',
      brokerPort: 8883,
      deviceCertificate: 'PEM',
    };
    const envelope = { type: 'report', report_type: 'command_response', timestamp, report_name: 'mqtt_credentials' };
    expect(write(data, 'code/activation')).toStrictEqual({
      ...envelope,
      value: { broker_ip: 'broker.example', device_certificate: 'PEM' },
    });
    expect(write({ ...data, brokerPort: 18883 }, 'code/activation')).toStrictEqual({
      ...envelope,
      value: { broker_ip: 'broker.example', broker_port: 18883, device_certificate: 'PEM' },
    });
  });

  it('keeps the order of keys of the seed', () => {
    const { payload } = wire.write(
      { kind: 'rename-requested', deviceId: 'dev', deviceType: 'socket' },
      at(addDevice),
      nowMs,
    );
    expect(payload).toBe(
      `{"type":"report","report_type":"command_response","timestamp":${timestamp},"report_name":"rename_device",` +
        '"value":{"device_type":"socket","device_id":"dev"}}',
    );
  });

  it('gives topics in the form that was asked for', () => {
    const one: Outbound = { kind: 'device-topics', topics: ['h/g/hall/socket/dev'] };
    const two: Outbound = { kind: 'device-topics', topics: ['h/g/hall/socket/dev', 'h/g/attic/socket/dev'] };
    expect(write(one, '/dev/topics')).toMatchObject({ report_name: 'topics', value: ['h/g/hall/socket/dev'] });
    expect(write(two, 'dev/topics')).toMatchObject({ report_name: 'topics', value: two.topics });
    expect(write(one, 'dev/topic')).toMatchObject({ report_name: 'topic', value: 'h/g/hall/socket/dev' });
    expect(write(two, 'dev/topic')).toMatchObject({ report_name: 'topic', value: two.topics });
  });

  it('reports progress, success and refusal', () => {
    expect(write({ kind: 'onboarding-progress', deviceId: 'dev', state: 'awaiting-name' }, addDevice)).toStrictEqual({
      type: 'report',
      report_type: 'status',
      timestamp,
      report_name: 'activate_device',
      value: { device_id: 'dev', state: 'awaiting-name' },
    });
    expect(write({ kind: 'command-done', command: 'rename-device' }, addDevice)).toStrictEqual({
      type: 'report',
      report_type: 'command_response',
      timestamp,
      report_name: 'rename_device',
      value: 'ok',
    });
    const error = new Mqtt2goError('unknown_device', 'a detail that stays here');
    const refused: Outbound = { kind: 'command-refused', command: 'activate-device', error };
    expect(write(refused, addDevice)).toStrictEqual({
      type: 'report',
      report_type: 'command_response',
      timestamp,
      report_name: 'activate_device',
      value: { event: 'error', reason: 'unknown_device' },
    });
  });

  it('names a refusal after the command, or after the topic when the command could not be read', () => {
    const error = new Mqtt2goError('malformed_message');
    const nameOn = (topic: string, command?: Inbound['kind']): unknown =>
      write({ kind: 'command-refused', error, ...(command ? { command } : {}) }, topic);
    expect(nameOn(addDevice)).toMatchObject({ report_name: 'add_device' });
    expect(nameOn('dev/topics', 'get-device-topics')).toMatchObject({ report_name: 'topics' });
    expect(nameOn('/dev/topic', 'get-device-topics')).toMatchObject({ report_name: 'topic' });
    expect(nameOn('code/activation', 'get-broker-data')).toMatchObject({ report_name: 'mqtt_credentials' });
  });

  it('refuses to write what nobody could read', () => {
    const tooMuch: Outbound = {
      kind: 'broker-data',
      brokerHost: 'h',
      brokerPort: 1,
      deviceCertificate: 'x'.repeat(20_000),
    };
    expect(() => write(tooMuch, 'code/activation')).toThrow(Mqtt2goError);
    const badId: Outbound = { kind: 'rename-requested', deviceId: 'a/b', deviceType: 'socket' };
    expect(() => write(badId, addDevice)).toThrow(expect.objectContaining({ code: 'invalid_identifier' }));
  });

  it('knows where to write without a request to mirror', () => {
    expect(wire.addDevicePath('home-1', 'gw-1')).toEqual(at(addDevice));
    expect(wire.deviceTopicsPath('dev-1')).toEqual(at('dev-1/topics'));
    expect(() => wire.addDevicePath('home-1', '+')).toThrow(expect.objectContaining({ code: 'invalid_identifier' }));
  });
});

describe('loops', () => {
  const error = new Mqtt2goError('malformed_message');
  const outbound: readonly [string, Outbound][] = [
    ['code/activation', { kind: 'broker-data', brokerHost: 'h', brokerPort: 1, deviceCertificate: 'PEM' }],
    ['code/activation', { kind: 'command-refused', command: 'get-broker-data', error }],
    [addDevice, { kind: 'rename-requested', deviceId: 'dev', deviceType: 'socket' }],
    [addDevice, { kind: 'onboarding-progress', deviceId: 'dev', state: 'active' }],
    [addDevice, { kind: 'command-done', command: 'rename-device' }],
    [addDevice, { kind: 'command-done', command: 'activate-device' }],
    [addDevice, { kind: 'command-refused', error }],
    [`/${addDevice}`, { kind: 'command-refused', command: 'rename-device', error }],
    ['dev/topics', { kind: 'device-topics', topics: ['h/g/hall/socket/dev'] }],
    ['dev/topic', { kind: 'device-topics', topics: ['h/g/hall/socket/dev'] }],
    ['dev/topic', { kind: 'command-refused', command: 'get-device-topics', error }],
  ];

  it.each(outbound)('on %s its own %j coming back is ignored', (topic, message) => {
    const payload = bytes(wire.write(message, at(topic), nowMs).payload);
    expect(wire.readHome(topic, payload).outcome).toBe('ignored');
    expect(wire.readActivation(topic, payload).outcome).toBe('ignored');
  });

  it('ignores a report of any size, depth or state of repair', () => {
    const list = Array.from({ length: 500 }, (_, i) => `home/gateway/group-${i}/light/${'x'.repeat(40)}`);
    const large = encodeMessage('userTopics', list, { nowMs });
    expect(bytes(large).byteLength).toBeGreaterThan(messageLimits.onboarding.maxBytes);
    expect(wire.readHome('user/topics', bytes(large))).toEqual({ outcome: 'ignored' });
    expect(wire.readHome('user/topics', bytes('{"type":"report"'))).toEqual({ outcome: 'ignored' });
    expect(wire.readHome(addDevice, bytes({ type: 'report' }))).toEqual({ outcome: 'ignored' });
    expect(wire.readHome(addDevice, bytes({ value: 1, type: 'report', report_type: 5 }))).toEqual({
      outcome: 'ignored',
    });
  });
});

describe('any bytes on any topic', () => {
  const topic = fc.oneof(
    fc.constantFrom(addDevice, `/${addDevice}`, 'dev/topics', '/dev/topic', 'code/activation'),
    fc.string({ unit: 'binary' }),
  );
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json({ maxDepth: 12 }).map(bytes),
    fc
      .record({
        type: fc.oneof(fc.constantFrom('command', 'report'), fc.anything()),
        timestamp: fc.anything(),
        command_type: fc.constantFrom('activate_device', 'rename_device', 'topics', 'topic', 'mqtt_credentials'),
        value: fc.oneof(
          fc.jsonValue(),
          fc.record({
            activation_code: fc.string(),
            device_id: fc.string(),
            device_name: fc.string(),
            group_id: fc.oneof(fc.string(), fc.array(fc.string())),
          }),
        ),
      })
      .map((message) => bytes(JSON.stringify(message, (_, v: unknown) => (typeof v === 'bigint' ? `${v}` : v)))),
  );

  it('have an outcome, and what is refused can be answered without a further answer', () => {
    fc.assert(
      fc.property(topic, anything, (on, payload) => {
        for (const reading of [wire.readHome(on, payload), wire.readActivation(on, payload)]) {
          if (reading.outcome !== 'refused' || !reading.reply) continue;
          const answer = wire.write(
            {
              kind: 'command-refused',
              error: reading.error,
              ...(reading.command ? { command: reading.command } : {}),
            },
            reading.reply,
            nowMs,
          );
          expect(wire.readHome(answer.topic, bytes(answer.payload)).outcome).toBe('ignored');
          expect(wire.readActivation(answer.topic, bytes(answer.payload)).outcome).toBe('ignored');
        }
      }),
      { numRuns: 500 },
    );
  });

  it('that are read hold ids which are their own topic level', () => {
    const id = /^[A-Za-z0-9_.-]{1,64}$/;
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (code, device, group) => {
        const activate = wire.readHome(
          addDevice,
          command('activate_device', { activation_code: code, device_id: device }),
        );
        expect(activate.outcome === 'message').toBe(id.test(code) && id.test(device));
        const rename = wire.readHome(
          addDevice,
          command('rename_device', { device_id: device, device_name: 'n', group_id: group }),
        );
        expect(rename.outcome === 'message').toBe(id.test(device) && id.test(group));
      }),
    );
  });
});
