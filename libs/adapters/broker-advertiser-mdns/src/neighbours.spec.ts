import { Links, type MdnsMessage, type MdnsRecord } from '@mqtt2go/mdns';
import { beforeEach, expect, it } from 'vitest';
import { Neighbours } from './neighbours.js';

const links = new Links([
  {
    interfaceName: 'eth0',
    family: 4,
    address: '192.168.1.7',
    prefix: 24,
    isLoopback: false,
    isLinkLocal: false,
    mac: '02:00:00:00:00:01',
  },
]);
const address: MdnsRecord = { name: 'mqtt2go.local', class: 'IN', ttl: 120, type: 'A', data: '192.168.1.9' };
const message = (kind: MdnsMessage['kind'], record: MdnsRecord, from = '192.168.1.9'): MdnsMessage => ({
  kind,
  from,
  interfaceName: 'eth0',
  asked: [],
  records: [record],
});

let nowMs: number;
let neighbours: Neighbours;
const hear = (...given: Parameters<typeof message>) => neighbours.hear(message(...given), links);

beforeEach(() => {
  nowMs = 0;
  neighbours = new Neighbours(1_000, () => nowMs);
});

it('tells who has the name from who wants it', () => {
  expect(hear('query', address, '192.168.1.8')).toBe('seen');
  expect(hear('response', address, '192.168.1.9')).toBe('seen');
  expect(neighbours.addresses()).toEqual(['192.168.1.8', '192.168.1.9']);
  expect(neighbours.addresses('holders')).toEqual(['192.168.1.9']);
});

it('hears a goodbye', () => {
  hear('response', address);
  expect(hear('response', { ...address, ttl: 0 })).toBe('goodbye');
  expect(neighbours.addresses()).toEqual([]);
});

it('forgets who is not heard of any more', () => {
  hear('response', address);
  nowMs = 1_000;
  expect(neighbours.addresses()).toHaveLength(1);
  nowMs = 1_001;
  expect(neighbours.addresses()).toEqual([]);
});

it('is not taken in by itself, other names or other brokers', () => {
  expect(hear('response', address, '192.168.1.7')).toBeUndefined();
  expect(hear('response', { ...address, name: 'attic.local' })).toBeUndefined();
  const broker: MdnsRecord = {
    name: 'Attic._mqtt._tcp.local',
    class: 'IN',
    ttl: 120,
    type: 'SRV',
    data: { port: 1883, target: 'attic.local' },
  };
  expect(hear('response', broker)).toBeUndefined();
  expect(neighbours.addresses()).toEqual([]);
});

it('knows a gateway by its service as well', () => {
  const service: MdnsRecord = {
    name: 'MQTT2GO._mqtt._tcp.local',
    class: 'IN',
    ttl: 120,
    type: 'SRV',
    data: { port: 8883, target: 'MQTT2GO.local' },
  };
  expect(hear('response', service)).toBe('seen');
});

it('remembers no more than a few, whoever makes them up', () => {
  for (let index = 1; index < 100; index += 1) hear('response', address, `192.168.1.${index}`);
  expect(neighbours.addresses()).toHaveLength(8);
});
