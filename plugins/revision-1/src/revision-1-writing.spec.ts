import {
  encodeMessage,
  type Inbound,
  messageLimits,
  Mqtt2goError,
  type Outbound,
  type ReplyPath,
} from '@mqtt2go/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Revision1Wire } from './revision-1-wire.js';

const wire = new Revision1Wire();
const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const command = (type: string, value: unknown): Uint8Array =>
  bytes({ type: 'command', timestamp: 1767323045, command_type: type, value });
const addDevice = 'home-1/gw-1/add_device';
const at = (topic: string): ReplyPath => ({ revision: '1.0', topic });

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

  it('tells where the home’s broker has gone as broker data without a certificate', () => {
    const moved: Outbound = { kind: 'broker-moved', brokerHost: 'MQTT2GO.local', brokerPort: 8883 };
    const envelope = { type: 'report', report_type: 'command_response', timestamp, report_name: 'mqtt_credentials' };
    expect(write(moved, 'dev/topics')).toStrictEqual({ ...envelope, value: { broker_ip: 'MQTT2GO.local' } });
    expect(write({ ...moved, brokerHost: '192.0.2.7', brokerPort: 18883 }, 'dev/topics')).toStrictEqual({
      ...envelope,
      value: { broker_ip: '192.0.2.7', broker_port: 18883 },
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
    const nameOn = (topic: string, kind?: Inbound['kind']): unknown =>
      write({ kind: 'command-refused', error, ...(kind ? { command: kind } : {}) }, topic);
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
