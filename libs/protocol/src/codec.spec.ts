import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage, headOf, readMessage } from './codec.js';
import { Mqtt2goError } from './errors.js';
import { limitsOf } from './messages/define.js';
import { definitionOf, messageNames, messages } from './registry.js';
import { toBytes, vectors } from './test-support/vectors.js';
import { topicNames } from './topics.js';

const nowMs = 1_573_000_000_999;
const id = fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/);

describe('the registry', () => {
  it('names each message as its key, with topics that exist and a line of documentation', () => {
    for (const name of messageNames) {
      const definition = definitionOf(name);
      expect(definition.name).toBe(name);
      expect(topicNames).toEqual(expect.arrayContaining([...definition.topics]));
      expect(definition.doc).toMatch(/^[A-Zia].+\.$/);
      expect(limitsOf(definition).maxBytes).toBeLessThanOrEqual(256 * 1024);
    }
  });

  it('has the steps and figures of the page on setup with a remote broker', () => {
    const steps = messageNames
      .map(definitionOf)
      .filter(({ step }) => step !== undefined)
      .map(({ name, step, figure }) => [step, figure, name]);
    expect(steps.sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual([
      [1, 1, 'activateDevice'],
      [6, 3, 'getBrokerData'],
      [7, 4, 'brokerData'],
      [9, 5, 'getDeviceTopics'],
      [10, 6, 'renameRequest'],
      [11, 7, 'renameDevice'],
      [12, 8, 'deviceTopics'],
    ]);
  });

  it('is frozen', () => {
    expect(Object.isFrozen(messages.activateDevice)).toBe(true);
  });
});

describe('encoding', () => {
  it('refuses what may not be sent, by the code that says why', () => {
    const options = { nowMs };
    const coded = (code: string) => expect.objectContaining({ code });
    expect(() => encodeMessage('activateDevice', { activation_code: 'a', device_id: 'a/b' }, options)).toThrow(
      coded('invalid_identifier'),
    );
    expect(() => encodeMessage('activateDevice', { activation_code: 'a' } as never, options)).toThrow(
      coded('malformed_message'),
    );
    expect(() =>
      encodeMessage('brokerData', { broker_ip: 'x', broker_port: 8883, device_certificate: 'c' }, options),
    ).toThrow(coded('malformed_message'));
    expect(() => encodeMessage('set', 'x'.repeat(20_000), options)).toThrow(coded('message_too_large'));
    expect(() => encodeMessage('deviceStatus', 'on', options)).toThrow(coded('malformed_message'));
    expect(() => encodeMessage('queryAll', 'all', { nowMs: -5 })).toThrow(coded('malformed_message'));
    expect(() => encodeMessage('queryAllAnswer', [], { nowMs, priorityLevel: 9 })).toThrow(coded('malformed_message'));
    expect(() => encodeMessage('renameDone', 'ok', { nowMs, commandName: 'other' })).toThrow(
      coded('malformed_message'),
    );
  });

  it('is undone by decoding', () => {
    fc.assert(
      fc.property(
        id,
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
        fc.uniqueArray(id, { minLength: 1, maxLength: 32 }),
        (device_id, device_name, group_id) => {
          fc.pre(messages.renameDevice.schema.shape.value.safeParse({ device_id, device_name, group_id }).success);
          const value = { device_id, device_name, group_id };
          const text = encodeMessage('renameDevice', value, { nowMs });
          expect(decodeMessage('renameDevice', new TextEncoder().encode(text))).toStrictEqual({
            type: 'command',
            timestamp: 1_573_000_000,
            command_type: 'rename_device',
            value,
          });
        },
      ),
    );
  });

  it('carries any JSON value to a device and back', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const expected: unknown = JSON.parse(JSON.stringify(value));
        fc.pre(!JSON.stringify(value).includes('__proto__'));
        const text = encodeMessage('set', expected as never, { nowMs });
        expect(decodeMessage('set', new TextEncoder().encode(text)).value).toStrictEqual(expected);
      }),
    );
  });
});

describe('reading', () => {
  it('throws nothing but a coded error, whatever the topic and the bytes are', () => {
    const valueLike = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom(...vectors.map((vector) => vector.payload)),
      fc.dictionary(fc.constantFrom('device_id', 'group_id', 'value', 'csr', 'request', 'role'), fc.jsonValue()),
    );
    const message = fc.record(
      {
        type: fc.oneof(fc.constantFrom('command', 'report'), fc.jsonValue()),
        report_type: fc.oneof(fc.constantFrom('command_response', 'CommandResponse', 'status'), fc.jsonValue()),
        command_type: fc.oneof(fc.constantFrom('set', 'rename_device', 'mqtt_credentials'), fc.jsonValue()),
        report_name: fc.oneof(fc.constantFrom('set', 'rename_device', 'mqtt_credentials'), fc.jsonValue()),
        timestamp: fc.jsonValue(),
        priority_level: fc.jsonValue(),
        value: valueLike,
        report: valueLike,
      },
      { requiredKeys: [] },
    );
    const payload = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => new TextEncoder().encode(text)),
      message.map(toBytes),
    );
    const topic = fc.oneof(fc.constantFrom(...vectors.map((vector) => vector.topic)), fc.string());
    fc.assert(
      fc.property(topic, payload, (on, bytes) => {
        try {
          const read = readMessage(on, bytes, messageNames);
          expect(messageNames).toContain(read.name);
        } catch (error) {
          expect(error).toBeInstanceOf(Mqtt2goError);
          expect(['malformed_message', 'invalid_identifier', 'message_too_large', 'unknown_command']).toContain(
            error instanceof Mqtt2goError && error.code,
          );
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('takes only what is asked for', () => {
    const payload = toBytes({ type: 'command', command_type: 'set', value: 'on' });
    expect(() => readMessage('h/g/hall/socket/dev', payload, ['deviceStatus'])).toThrow(
      expect.objectContaining({ code: 'unknown_command' }),
    );
    expect(() => readMessage('somewhere/else/than/where', payload, messageNames)).toThrow(
      expect.objectContaining({ code: 'unknown_command' }),
    );
  });

  it('keeps to the limit of each message where a topic has several', () => {
    const large = toBytes({ type: 'command', command_type: 'set', value: 'x'.repeat(20_000) });
    expect(() => readMessage('h/g', large, messageNames)).toThrow(
      expect.objectContaining({ code: 'message_too_large' }),
    );
    const list = Array.from({ length: 2000 }, (_, i) => `device-${i}-${'x'.repeat(20)}`);
    const answer = encodeMessage('queryAllAnswer', list, { nowMs, priorityLevel: 2 });
    expect(readMessage('h/g', new TextEncoder().encode(answer), messageNames)).toMatchObject({
      name: 'queryAllAnswer',
      message: { value: list, priority_level: 2 },
    });
  });

  it('never repeats what was sent in the error', () => {
    const payload = toBytes({
      type: 'command',
      command_type: 'activate_device',
      value: { activation_code: 'se/cret' },
    });
    try {
      decodeMessage('activateDevice', payload);
      expect.unreachable();
    } catch (error) {
      expect(error instanceof Mqtt2goError && error.message).not.toContain('cret');
    }
  });
});

describe('the head of a message', () => {
  it.each([
    [
      { type: 'command', command_type: 'set' },
      { type: 'command', commandType: 'set' },
    ],
    [
      { type: 'report', report_type: 'PeriodicReport' },
      { type: 'report', reportType: 'periodic_report', reportName: '' },
    ],
    [{ type: 'report' }, { type: 'report', reportType: '', reportName: '' }],
    [{ type: 'command' }, undefined],
    [{ type: 'Command', command_type: 'set' }, undefined],
    [[], undefined],
    [null, undefined],
    ['command', undefined],
  ])('of %j is %j', (json, expected) => {
    expect(headOf(json)).toEqual(expected);
  });
});
