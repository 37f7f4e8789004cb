import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Mqtt2goError } from './errors.js';
import { identifier, reservedWords } from './identifiers.js';
import { topicMatches } from './topic-filter.js';
import { matchTopic, type TopicName, type TopicTemplate, topicNames, topics } from './topics.js';

const reserved: readonly string[] = Object.values(reservedWords).flat();
const anyId = fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/).filter((id) => !reserved.includes(id));
const anyType = fc.stringMatching(/^[a-z0-9_]{1,64}$/);

const templateOf = (name: TopicName): TopicTemplate => topics[name];
const anyParams = (name: TopicName): fc.Arbitrary<Record<string, string>> =>
  fc.record(
    Object.fromEntries(templateOf(name).params.map((param) => [param, param === 'deviceType' ? anyType : anyId])),
  );

describe('topics', () => {
  it('are those of the standard', () => {
    expect(Object.fromEntries(topicNames.map((name) => [name, topics[name].template]))).toEqual({
      addDevice: '{homeId}/{gatewayId}/add_device',
      addUnsupported: '{homeId}/{gatewayId}/add_unsupported',
      activation: '{activationCode}/activation',
      wifi: '{activationCode}/wifi',
      deviceTopics: '{deviceId}/topics',
      deviceTopic: '{deviceId}/topic',
      userTopics: '{userId}/topics',
      homeUsers: '{homeId}/users',
      gateway: '{homeId}/{gatewayId}',
      group: '{homeId}/{gatewayId}/{groupId}',
      device: '{homeId}/{gatewayId}/{groupId}/{deviceType}/{deviceId}',
    });
  });

  it('are built, filtered and parsed with or without a leading slash', () => {
    const params = { homeId: 'h', gatewayId: 'g' };
    expect(topics.addDevice.build(params)).toBe('h/g/add_device');
    expect(topics.addDevice.build(params, { leadingSlash: true })).toBe('/h/g/add_device');
    expect(topics.addDevice.filter()).toBe('+/+/add_device');
    expect(topics.addDevice.filter({ homeId: 'h' })).toBe('h/+/add_device');
    expect(topics.addDevice.filters()).toEqual(['+/+/add_device', '/+/+/add_device']);
    expect(topics.addDevice.parse('/h/g/add_device')).toEqual({ params, leadingSlash: true });
  });

  it.each([
    '',
    '/',
    '//',
    'h/g',
    'h//add_device',
    '//g/add_device',
    'h/g/add_device/',
    'h/+/add_device',
    'h/g/ADD_DEVICE',
  ])('add_device is not %j', (topic) => expect(topics.addDevice.parse(topic)).toBeUndefined());

  it('mean one thing each, but for <id>/topics, which devices and users share', () => {
    for (const name of topicNames) {
      fc.assert(
        fc.property(anyParams(name), (params) => {
          const names = matchTopic(templateOf(name).build(params)).map((match) => match.name);
          expect(names).toEqual(
            name === 'userTopics' || name === 'deviceTopics' ? ['deviceTopics', 'userTopics'] : [name],
          );
        }),
        { numRuns: 30 },
      );
    }
  });

  it('come back from parsing as they went into building', () => {
    for (const name of topicNames) {
      fc.assert(
        fc.property(anyParams(name), fc.boolean(), (params, leadingSlash) => {
          const template = templateOf(name);
          const topic = template.build(params, { leadingSlash });
          expect(template.parse(topic)).toEqual({ params, leadingSlash });
          const [plain, slashed] = template.filters();
          expect([topicMatches(plain, topic), topicMatches(slashed, topic)]).toEqual([!leadingSlash, leadingSlash]);
        }),
        { numRuns: 50 },
      );
    }
  });

  it('that parse are built from what they parse to', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(anyId, fc.string(), fc.constantFrom(...reserved)), { maxLength: 6 }), (levels) => {
        const topic = levels.join('/');
        for (const { name, params, leadingSlash } of matchTopic(topic)) {
          expect(templateOf(name).build(params, { leadingSlash })).toBe(topic);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are never widened by an id: what is not one is refused', () => {
    fc.assert(
      fc.property(fc.constantFrom(...topicNames), fc.string({ unit: 'binary' }), fc.nat(), (name, value, at) => {
        const template = templateOf(name);
        const param = template.params[at % template.params.length] ?? '';
        const params = { ...Object.fromEntries(template.params.map((one) => [one, 'x'])), [param]: value };
        const levels = template.template.split('/').length;
        for (const make of [(): string => template.build(params), (): string => template.filter(params)]) {
          try {
            const topic = make();
            expect(topic.split('/')).toHaveLength(levels);
            expect(topic).not.toMatch(/[+#$]/);
            expect(identifier.safeParse(value).success).toBe(true);
          } catch (error) {
            expect(error).toBeInstanceOf(Mqtt2goError);
            expect(error).toMatchObject({ code: 'invalid_identifier' });
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each(reservedWords.gatewayId)('no gateway is called %s, which would make two topics one', (gatewayId) => {
    expect(() => topics.gateway.build({ homeId: 'h', gatewayId })).toThrow(/word of the standard/);
    expect(topics.gateway.parse(`h/${gatewayId}`)).toBeUndefined();
  });

  it.each(reservedWords.groupId)('no group is called %s', (groupId) => {
    expect(() => topics.group.filter({ groupId })).toThrow(/word of the standard/);
    expect(topics.group.parse(`h/g/${groupId}`)).toBeUndefined();
  });

  it('needs every parameter, and never takes one from a prototype', () => {
    expect(() => topics.addDevice.build({ homeId: 'h' } as never)).toThrow(
      expect.objectContaining({ code: 'invalid_identifier' }),
    );
    expect(() => topics.addDevice.build({ homeId: 'h', gatewayId: 5 } as never)).toThrow(Mqtt2goError);
  });
});
