import { compileRules } from '@mqtt2go/access';
import { contractDevice } from '@mqtt2go/ports/testing';
import { describe, expect, it } from 'vitest';
import { filterOfRoutingKey, isRoutable, topicOfRoutingKey } from './routing-key.js';

/** What RabbitMQ 4.3 makes of an MQTT topic or filter (rabbit_mqtt_util, to_amqp). */
function routingKey(topic: string): string {
  return topic.replaceAll('/', '.').replaceAll('+', '*');
}

describe('a routing key', () => {
  it.each([
    'plug-1/topics',
    '/plug-1/topics',
    'home-1/gw-1/+/socket/plug-1',
    '+/+/add_device',
    'home-1/#',
    '#',
    'a//b',
  ])('is read back as the topic that it was made of: %s', (topic) => {
    expect(filterOfRoutingKey(routingKey(topic))).toBe(topic);
  });

  it('is all that counts: topics that are one to RabbitMQ are judged as one', () => {
    expect(topicOfRoutingKey(routingKey('plug-1.topics'))).toBe(topicOfRoutingKey(routingKey('plug-1/topics')));
    expect(filterOfRoutingKey(routingKey('*/topics'))).toBe('+/topics');
  });

  it('gives nothing to an id that it would split, and nothing of it to others', () => {
    const dotted = compileRules(contractDevice({ id: 'plug.1' }), 'home');
    const parted = compileRules(contractDevice({ id: '1' }), 'home');
    expect(isRoutable('plug.1')).toBe(false);
    for (const rules of [dotted, parted]) {
      expect(rules.allows('subscribe', filterOfRoutingKey(routingKey('plug.1/topics')), 0)).toBe(false);
    }
  });
});
