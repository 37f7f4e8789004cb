import { topicMatches } from '@mqtt2go/protocol';
import type { AedesPublishPacket } from 'aedes';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutgoingQueue } from './outgoing-queue.js';
import { RetainedMessages } from './retained-messages.js';
import { TopicTree } from './topic-tree.js';

let counter = 0;
function message(topic: string, payload = 'x'): AedesPublishPacket {
  counter += 1;
  return {
    cmd: 'publish',
    topic,
    payload: Buffer.from(payload),
    qos: 1,
    dup: false,
    retain: true,
    brokerId: 'broker',
    brokerCounter: counter,
  };
}

const level = fc.constantFrom('a', 'b', '', '$SYS');
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }), fc.constantFrom([], ['#']))
  .map(([levels, end]) => [...levels, ...end].join('/'))
  .filter((text) => text !== '');

describe('TopicTree', () => {
  it('finds exactly the filters that match, after some are gone', () => {
    fc.assert(
      fc.property(fc.uniqueArray(filter), fc.uniqueArray(filter), topic, (kept, gone, where) => {
        const tree = new TopicTree<string>();
        for (const one of [...gone, ...kept]) tree.set(one, `client of ${one}`, one);
        for (const one of gone) tree.delete(one, `client of ${one}`);
        const expected = kept.filter((one) => !gone.includes(one) && topicMatches(one, where));
        expect([...tree.match(where).values()].sort()).toEqual(expected.sort());
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives one value for a client with several filters', () => {
    const tree = new TopicTree<number>();
    tree.set('a/+', 'client', 1);
    tree.set('a/b', 'client', 1);
    tree.delete('a/c', 'client');
    expect(tree.match('a/b').size).toBe(1);
  });
});

describe('RetainedMessages', () => {
  const topicsOf = (retained: RetainedMessages, ...filters: string[]) =>
    [...retained.match(filters)].map((packet) => packet.topic).sort();

  it('finds by topic and by filter, each once', () => {
    const retained = new RetainedMessages(10, 1_000);
    for (const name of ['home-1/a', '/home-1/a', 'home-1/b', 'home-2/a']) retained.store(message(name));
    expect(topicsOf(retained, 'home-1/a')).toEqual(['home-1/a']);
    expect(topicsOf(retained, 'home-1/+', 'home-1/a')).toEqual(['home-1/a', 'home-1/b']);
    expect(topicsOf(retained, '/home-1/#')).toEqual(['/home-1/a']);
    expect(topicsOf(retained, '+/a')).toEqual(['home-1/a', 'home-2/a']);
    expect(topicsOf(retained, '#')).toHaveLength(4);
  });

  it('forgets with an empty message', () => {
    const retained = new RetainedMessages(1, 1_000);
    retained.store(message('home-1/a'));
    expect(retained.store(message('home-1/b'))).toBe(false);
    retained.store(message('home-1/a', ''));
    expect(retained.store(message('home-1/b'))).toBe(true);
    expect(topicsOf(retained, '#')).toEqual(['home-1/b']);
  });

  it('lets one home fill its own shelf only', () => {
    const retained = new RetainedMessages(100, 100);
    expect(retained.store(message('home-1/a', 'x'.repeat(80)))).toBe(true);
    expect(retained.store(message('home-1/b', 'x'.repeat(80)))).toBe(false);
    expect(retained.store(message('home-1/a', 'y'.repeat(90)))).toBe(true);
    expect(retained.store(message('home-2/a', 'x'.repeat(80)))).toBe(true);
  });
});

describe('OutgoingQueue', () => {
  it('gives up the oldest beyond its limits', () => {
    const queue = new OutgoingQueue();
    for (const payload of ['1', '2', '3']) queue.add(message('t', payload), 2, 1_000);
    expect(queue.packets().map((packet) => ('payload' in packet ? packet.payload.toString() : ''))).toEqual(['2', '3']);
    queue.add(message('t', 'x'.repeat(2_000)), 2, 1_000);
    expect(queue.size).toBe(2);
    queue.add(message('t', 'x'.repeat(998)), 2, 1_000);
    expect(queue.size).toBe(1);
  });

  it('keeps a message until it is acknowledged, and repeats it as such', () => {
    const queue = new OutgoingQueue();
    const first = message('t', 'first');
    queue.add(first, 10, 1_000);
    queue.add(first, 10, 1_000);
    expect(queue.size).toBe(1);
    queue.sent({ ...first, messageId: 7 });
    expect(queue.packets()[0]).toMatchObject({ messageId: 7, dup: true });
    expect(queue.acknowledged(8)).toBeUndefined();
    expect(queue.acknowledged(7)).toMatchObject({ topic: 't' });
    expect(queue.size).toBe(0);
  });

  it('puts a PUBREL in the place of its message', () => {
    const queue = new OutgoingQueue();
    const first = message('t', 'first');
    queue.add(first, 10, 1_000);
    queue.sent({ ...first, messageId: 7 });
    queue.sent({ cmd: 'pubrel', messageId: 7 });
    expect(queue.packets()).toEqual([{ cmd: 'pubrel', messageId: 7 }]);
    queue.acknowledged(7);
    expect(queue.size).toBe(0);
  });

  it('delivers what it has given up without tracking it', () => {
    const queue = new OutgoingQueue();
    queue.sent({ ...message('t'), messageId: 1 });
    queue.discard(-1);
    expect(queue.size).toBe(0);
  });
});
