import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filtersOverlap, topicMatches } from './topic-filter.js';

describe('a filter', () => {
  // The examples of MQTT 3.1.1, section 4.7.1.
  it.each([
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['#', 'anything/at/all', true],
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['#', '$SYS/x', false],
    ['+/monitor/Clients', '$SYS/monitor/Clients', false],
    ['$SYS/#', '$SYS/x', true],
    ['a/b', 'a/b', true],
    ['a/b', 'a/B', false],
    ['+/+/add_device', '/h/g/add_device', false],
    ['/+/+/add_device', '/h/g/add_device', true],
  ])('%s receives %s: %s', (filter, topic, expected) => {
    expect(topicMatches(filter, topic)).toBe(expected);
  });

  it.each([
    ['+/+/add_device', '/+/+/add_device', false],
    ['+/topics', '+/topic', false],
    ['+/x/+', 'a/+/in', true],
    ['a/#', 'a', true],
    ['a/#', 'b/#', false],
    ['#', 'x/y', true],
    ['a/b', 'a/b/c', false],
    ['a/+/c/#', 'a/b/c/d/e', true],
  ])('%s and %s overlap: %s', (a, b, expected) => {
    expect(filtersOverlap(a, b)).toBe(expected);
    expect(filtersOverlap(b, a)).toBe(expected);
  });

  it('overlaps with every other that receives one of its topics', () => {
    const level = fc.constantFrom('a', 'b', '');
    const filter = fc
      .tuple(fc.array(fc.constantFrom('a', 'b', '', '+'), { minLength: 1, maxLength: 4 }), fc.boolean())
      .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'));
    const topic = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
    fc.assert(
      fc.property(filter, filter, topic, (a, b, on) => {
        if (topicMatches(a, on) && topicMatches(b, on)) expect(filtersOverlap(a, b)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
