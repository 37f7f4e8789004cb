import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage, readMessage } from './codec.js';
import { Mqtt2goError } from './errors.js';
import { definitionOf, type MessageName, messageNames } from './registry.js';
import { refusedBytes, toBytes, type Vector, vectors } from './test-support/vectors.js';
import { matchTopic, topics } from './topics.js';

/** What there is to choose from when a message is to be recognised: what its receiver may get on its topic. */
function rivalsOf(name: MessageName): MessageName[] {
  const { direction } = definitionOf(name);
  return messageNames.filter((other) => definitionOf(other).direction === direction);
}

/** Messages that another one, before them in the registry, reads as well; what is read is the same. */
const sameAs: Partial<Record<MessageName, MessageName>> = {
  getDeviceTopic: 'getDeviceTopics',
  deviceTopic: 'deviceTopics',
  commandDone: 'addGroupDone',
};

function encodeLike(vector: Vector): string {
  const { sent } = vector;
  const { envelope } = definitionOf(vector.name);
  const commandName = sent['command_type'] ?? sent['report_name'];
  const priority = sent['priority_level'];
  const value = envelope.bare ? sent : sent['value'];
  const nowMs = Number(sent['timestamp'] ?? 0) * 1000 + 999;
  // The types of all messages at once are more than a test needs; the schema checks the value.
  const encode: (name: MessageName, value: unknown, options: object) => string = encodeMessage as never;
  return encode(vector.name, value, {
    nowMs,
    ...(typeof commandName === 'string' ? { commandName } : {}),
    ...(typeof priority === 'number' ? { priorityLevel: priority } : {}),
  });
}

it('there is a vector for every message, and none for nothing', () => {
  expect(vectors.map(({ name }) => name).sort()).toEqual([...messageNames].sort());
});

describe.each(vectors)('$name', (vector) => {
  const definition = definitionOf(vector.name);

  it('is read as its source spells it', () => {
    expect(decodeMessage(vector.name, toBytes(vector.payload))).toStrictEqual(vector.read);
  });

  it('is recognised on its topic', () => {
    const read = readMessage(vector.topic, toBytes(vector.payload), [vector.name]);
    expect(read).toMatchObject({ name: vector.name, message: vector.read, topic: { params: vector.params } });
  });

  it('is told from all others that its receiver gets', () => {
    const among = readMessage(vector.topic, toBytes(vector.payload), rivalsOf(vector.name));
    expect(among.name).toBe(sameAs[vector.name] ?? vector.name);
  });

  it('is sent strictly, byte for byte', () => {
    expect(encodeLike(vector)).toBe(JSON.stringify(vector.sent));
    expect(definition.schema.parse(vector.sent)).toStrictEqual(vector.sent);
  });

  it('comes back as it was sent', () => {
    const back = decodeMessage(vector.name, new TextEncoder().encode(encodeLike(vector)));
    const timestamp = vector.sent['timestamp'];
    expect(back).toStrictEqual(
      definition.envelope.bare ? vector.read : { ...(vector.read as object), ...(timestamp ? { timestamp } : {}) },
    );
  });

  it('is not sent with a key too many', () => {
    expect(definition.schema.safeParse({ ...vector.sent, more: true }).success).toBe(false);
  });

  it('has a topic that is built and parsed by the registry', () => {
    const forms = matchTopic(vector.topic).filter(({ name }) => definition.topics.includes(name));
    expect(forms).toHaveLength(1);
    for (const { name, params } of forms) {
      expect(params).toEqual(vector.params);
      expect(topics[name].build(params as never)).toBe(vector.topic);
      expect(topics[name].build(params as never, { leadingSlash: true })).toBe(`/${vector.topic}`);
    }
  });

  it.each(vector.liberal)('is read with $why', ({ topic, payload, read }) => {
    expect(decodeMessage(vector.name, toBytes(payload))).toStrictEqual(read);
    expect(readMessage(topic ?? vector.topic, toBytes(payload), [vector.name])).toMatchObject({
      name: vector.name,
      message: read,
    });
  });

  it.each(vector.refused)('is refused with $why', (refused) => {
    const read = (): unknown => readMessage(refused.topic ?? vector.topic, refusedBytes(refused), [vector.name]);
    expect(read).toThrow(Mqtt2goError);
    expect(read).toThrow(expect.objectContaining({ code: refused.code }));
  });
});
