import { describe, expect, it } from 'vitest';
import { FoundGateways } from './found-gateways.js';
import type { MdnsMessage, MdnsRecord } from './messages.js';

const instance = 'MQTT2GO._mqtt._tcp.local';
const common = { class: 'IN' as const, ttl: 120 };
const ptr = (data = instance): MdnsRecord => ({ ...common, name: '_mqtt._tcp.local', type: 'PTR', data });
const srv = (port = 8883, target = 'MQTT2GO.local', name = instance): MdnsRecord => ({
  ...common,
  name,
  type: 'SRV',
  data: { port, target },
});
const a = (data = '192.168.1.7', name = 'MQTT2GO.local'): MdnsRecord => ({ ...common, name, type: 'A', data });
const aaaa = (data: string): MdnsRecord => ({ ...common, name: 'MQTT2GO.local', type: 'AAAA', data });
const gone = (record: MdnsRecord): MdnsRecord => ({ ...record, ttl: 0 });
const from = (sender: string, ...records: MdnsRecord[]): MdnsMessage => ({
  kind: 'response',
  from: sender,
  interfaceName: 'eth0',
  asked: [],
  records,
});

function heard(...messages: MdnsMessage[]): FoundGateways {
  const gateways = new FoundGateways();
  for (const message of messages) gateways.add(message);
  return gateways;
}

describe('a gateway', () => {
  it('is found by one answer', () => {
    const gateways = heard(from('192.168.1.7', ptr(), srv(), a()));
    expect(gateways.found).toEqual([{ port: 8883, addresses: ['192.168.1.7'] }]);
    expect(gateways.missing).toEqual([]);
  });

  it('is found however its name is written', () => {
    const given = from(
      '192.168.1.7',
      srv(8883, 'mqtt2GO.LOCAL.', 'mqtt2go._MQTT._TCP.local'),
      a('192.168.1.7', 'mqtt2go.local'),
    );
    expect(heard(given).found).toHaveLength(1);
  });

  it('is asked for what it leaves out', () => {
    const gateways = heard();
    const asked = () => gateways.missing.map(({ type, name }) => `${type} ${name}`);
    expect(asked()).toEqual(['PTR _mqtt._tcp.local']);
    gateways.add(from('192.168.1.7', ptr()));
    expect(asked()).toContain('SRV mqtt2go._mqtt._tcp.local');
    gateways.add(from('192.168.1.7', srv()));
    expect(asked()).toEqual(expect.arrayContaining(['A MQTT2GO.local', 'AAAA MQTT2GO.local']));
    gateways.add(from('192.168.1.7', a()));
    expect(gateways.found).toHaveLength(1);
  });

  it('gives IPv4 addresses first, and link-local ones last, with their link', () => {
    const given = from('192.168.1.7', srv(), aaaa('fe80::7'), aaaa('fd00::7'), a());
    expect(heard(given).found[0]?.addresses).toEqual(['192.168.1.7', 'fd00::7', 'fe80::7%eth0']);
  });

  it('that answers by IPv4 and by IPv6 is one', () => {
    const records = [srv(), a(), aaaa('fe80::7')];
    expect(heard(from('192.168.1.7', ...records), from('fe80::7%eth0', ...records)).found).toHaveLength(1);
  });

  it('is one of several, in the order in which they were heard', () => {
    const gateways = heard(from('192.168.1.9', srv(1), a('192.168.1.9')), from('192.168.1.7', srv(2), a()));
    expect(gateways.found.map(({ port }) => port)).toEqual([1, 2]);
  });

  it('is not found any more when it takes back what it said', () => {
    const said = from('192.168.1.7', ptr(), srv(), a());
    expect(heard(said, from('192.168.1.7', gone(srv()))).found).toEqual([]);
    expect(heard(said, from('192.168.1.7', gone(a()))).found).toEqual([]);
  });
});

describe('is no gateway', () => {
  it.each([
    [
      'a broker of another name',
      [ptr('Attic._mqtt._tcp.local'), srv(1883, 'attic.local', 'Attic._mqtt._tcp.local'), a()],
    ],
    ['a service of another kind', [srv(8883, 'MQTT2GO.local', 'MQTT2GO._http._tcp.local'), a()]],
    ['a host with another name', [srv(), a('192.168.1.7', 'MQTT2GO.local.evil.example')]],
    ['one without an address', [ptr(), srv()]],
    ['one at this machine’s own loopback', [srv(), a('127.0.0.1')]],
    ['one at a multicast address', [srv(), a('224.0.0.5')]],
    ['one at no address', [srv(), a('0.0.0.0')]],
  ])('%s', (_what, records) => {
    expect(heard(from('192.168.1.7', ...records)).found).toEqual([]);
  });

  it('who asks', () => {
    expect(heard({ ...from('192.168.1.7', srv(), a()), kind: 'query' }).found).toEqual([]);
  });

  it('a machine that gives the name’s address to another’s service', () => {
    expect(heard(from('192.168.1.7', srv()), from('192.168.1.66', a('192.168.1.66'))).found).toEqual([]);
  });

  it('to be asked for again, once it is known to be another broker', () => {
    const other = 'Attic._mqtt._tcp.local';
    const gateways = heard(from('192.168.1.7', ptr(other)), from('192.168.1.7', srv(1883, 'attic.local', other)));
    expect(gateways.missing.map(({ type }) => type)).toEqual(['PTR']);
  });

  it('kept in numbers without end', () => {
    const gateways = heard(
      ...Array.from({ length: 1_000 }, (_, index) =>
        from(
          `10.0.${index >> 8}.${index & 255}`,
          ptr(`${index}._mqtt._tcp.local`),
          srv(index + 1),
          a(`10.1.0.${index & 255}`),
        ),
      ),
    );
    expect(gateways.found.length).toBeLessThanOrEqual(32);
  });
});
