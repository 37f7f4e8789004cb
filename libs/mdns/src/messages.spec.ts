import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FoundGateways } from './found-gateways.js';
import { readMessage, sameName } from './messages.js';

const empty = { questions: [], answers: [], authorities: [], additionals: [] };
const response = { type: 'response', opcode: 'QUERY', rcode: 'NOERROR', ...empty };
const address = { name: 'MQTT2GO.local', type: 'A', class: 'IN', ttl: 120, data: '192.168.1.7' };
const read = (packet: unknown) => readMessage(packet, '192.168.1.7', 'eth0');

describe('a message', () => {
  it('says what stands in its answers and additional records', () => {
    const authority = { ...address, data: '192.168.1.9' };
    expect(
      read({ ...response, answers: [address], authorities: [authority], additionals: [address] })?.records,
    ).toEqual([address, address]);
  });

  it('is, as a query, about the names asked for and what the sender wants to be', () => {
    const query = { ...response, type: 'query', questions: [{ name: 'Mqtt2GO.local.' }], authorities: [address] };
    expect(read(query)).toMatchObject({ kind: 'query', asked: ['mqtt2go.local'], records: [address] });
  });

  it.each([
    ['another operation', { ...response, opcode: 'STATUS' }],
    ['an error', { ...response, rcode: 'SERVFAIL' }],
    ['no message', 7],
    ['a list in the place of records', { ...response, answers: 'all' }],
  ])('is none, with %s', (_what, packet) => expect(read(packet)).toBeUndefined());

  it.each([
    ['of another class', { ...address, class: 'CH' }],
    ['without a class', { ...address, class: undefined }],
    ['with an address that is none', { ...address, data: '192.168.1.700' }],
    ['with an address of the other family', { ...address, type: 'AAAA' }],
    ['with a time to live below nothing', { ...address, ttl: -1 }],
    ['with a name longer than names are', { ...address, name: 'a'.repeat(256) }],
    ['with port 0', { ...address, type: 'SRV', data: { port: 0, target: 'MQTT2GO.local' } }],
    ['of no use', { ...address, type: 'TXT' }],
  ])('is read without a record %s', (_what, record) => {
    expect(read({ ...response, answers: [record, address] })?.records).toEqual([address]);
  });

  it('is not looked at to the end when it has too many records', () => {
    const answers = Array.from({ length: 1_000 }, () => address);
    expect(read({ ...response, answers })?.records).toHaveLength(64);
  });

  it('may be anything, and is read or refused without an error', () => {
    const records = fc.array(
      fc.record({
        name: fc.oneof(fc.string(), fc.constant('_mqtt._tcp.local'), fc.constant('MQTT2GO.local')),
        type: fc.oneof(fc.constantFrom('A', 'AAAA', 'SRV', 'PTR', 'TXT', 'OPT'), fc.string()),
        class: fc.constantFrom('IN', 'CH'),
        ttl: fc.oneof(fc.integer(), fc.double()),
        data: fc.oneof(
          fc.anything(),
          fc.string(),
          fc.ipV4(),
          fc.ipV6(),
          fc.record({ port: fc.integer(), target: fc.string() }),
        ),
      }),
    );
    const packets = fc.record({
      type: fc.constantFrom('query', 'response', 'other'),
      opcode: fc.constant('QUERY'),
      rcode: fc.constant('NOERROR'),
      questions: fc.array(fc.anything()),
      answers: fc.oneof(records, fc.anything()),
      authorities: records,
      additionals: records,
    });
    fc.assert(
      fc.property(packets, (packet) => {
        const message = read(packet);
        if (message === undefined) return;
        const gateways = new FoundGateways();
        gateways.add(message);
        for (const { port, addresses } of gateways.found) {
          expect(port).toBeGreaterThan(0);
          expect(addresses.length).toBeGreaterThan(0);
        }
        expect(gateways.missing.length).toBeLessThan(40);
      }),
      { numRuns: 500 },
    );
  });
});

it('compares names as DNS does', () => {
  expect(sameName('MQTT2GO.Local.')).toBe(sameName('mqtt2go.local'));
  // Not a letter of ASCII: another name.
  expect(sameName('É.local')).not.toBe(sameName('é.local'));
});
