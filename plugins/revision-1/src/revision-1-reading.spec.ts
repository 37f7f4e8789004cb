import { type ErrorCode, type Inbound, type Reading, type ReplyPath } from '@mqtt2go/protocol';
import { describe, expect, it } from 'vitest';
import { Revision1Wire } from './revision-1-wire.js';

const wire = new Revision1Wire();
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
  ])('is malformed with the value %j', (broken) => {
    const reading = wire.readHome(addDevice, command('activate_device', broken));
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

  it('tells the command of a message that cannot be read, as far as that can be told', () => {
    const topic = 'dev-1/topics';
    const refused = (payload: Uint8Array) => refusalOf(wire.readHome(topic, payload));
    expect(refused(bytes('{'))).toEqual({ code: 'malformed_message', command: undefined, topic });
    expect(refused(command('topics', 'GIVE'))).toEqual({
      code: 'malformed_message',
      command: 'get-device-topics',
      topic,
    });
    expect(refused(command('set', 'on'))).toEqual({ code: 'unknown_command', command: undefined, topic });
  });
});

describe('RENEW_CERTIFICATE', () => {
  const request = 'RENEW_CERTIFICATE';
  const read = (value: unknown, topic = 'dev-1/topics') => wire.readHome(topic, command('mqtt_credentials', value));

  it('is read with and without the certificate’s serial number and a signing request', () => {
    const expected = { kind: 'renew-certificate', deviceId: 'dev-1', reply: at('dev-1/topics') };
    expect(messageOf(read({ request }))).toEqual(expected);
    expect(messageOf(read({ request, serial_number: '0A1B', csr: 'PEM' }))).toEqual({
      ...expected,
      serialNumber: '0A1B',
      csr: 'PEM',
    });
    expect(messageOf(read({ request }, '/dev-1/topic'))).toEqual({ ...expected, reply: at('/dev-1/topic') });
  });

  it.each([
    request,
    'GET_BROKER_DATA',
    { request: 'GET_BROKER_DATA' },
    { request, csr: 5 },
    { request, csr: 'x'.repeat(8193) },
    { request, serial_number: '0a1b' },
    { request, serial_number: 5 },
    { request, serial_number: 'A'.repeat(41) },
    null,
  ])('refuses %j', (value) => {
    expect(refusalOf(read(value))).toEqual({
      code: 'malformed_message',
      command: 'renew-certificate',
      topic: 'dev-1/topics',
    });
  });
});

describe('what a device asks a gateway in the house', () => {
  it('GET_CREDENTIALS is read in the plain form and with a signing request', () => {
    const expected = { kind: 'get-credentials', activationCode: 'code-1', reply: at('code-1/activation') };
    const read = (value: unknown) => wire.readActivation('code-1/activation', command('mqtt_credentials', value));
    expect(messageOf(read('GET_CREDENTIALS'))).toEqual(expected);
    expect(messageOf(read({ request: 'GET_CREDENTIALS' }))).toEqual(expected);
    expect(messageOf(read({ request: 'GET_CREDENTIALS', csr: 'PEM' }))).toEqual({ ...expected, csr: 'PEM' });
  });

  it.each(['wifi', 'wifi_credentials'])('GET_WIFI_CREDENTIALS is read under the name %s', (name) => {
    const reading = wire.readActivation('/code-1/wifi', command(name, 'GET_WIFI_CREDENTIALS'));
    expect(messageOf(reading)).toEqual({
      kind: 'get-wifi-credentials',
      activationCode: 'code-1',
      reply: at('/code-1/wifi'),
    });
  });

  it('refuses another word on the Wi-Fi topic', () => {
    expect(refusalOf(wire.readActivation('code-1/wifi', command('wifi', 'GET_ALL')))).toEqual({
      code: 'malformed_message',
      command: 'get-wifi-credentials',
      topic: 'code-1/wifi',
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

  it.each([
    { request: 'GET' },
    'GET_EVERYTHING',
    { request: 'GET_CREDENTIALS', csr: 5 },
    { request: 'GET_BROKER_DATA', csr: 5 },
    null,
  ])('refuses %j', (value) => {
    expect(refusalOf(wire.readActivation('code-1/activation', command('mqtt_credentials', value)))).toEqual({
      code: 'malformed_message',
      command: 'get-broker-data',
      topic: 'code-1/activation',
    });
  });
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
