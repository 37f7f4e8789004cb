import type { LocalAddress } from '@mqtt2go/mdns';
import { expect, it } from 'vitest';
import { scopeOf } from './scope.js';

const address = (interfaceName: string, given: string, more: Partial<LocalAddress> = {}): LocalAddress => ({
  interfaceName,
  family: given.includes(':') ? 6 : 4,
  address: given,
  prefix: 24,
  isLoopback: false,
  isLinkLocal: given.startsWith('fe80'),
  mac: '02:00:00:00:00:01',
  ...more,
});
const all = [
  address('lo', '127.0.0.1', { isLoopback: true, mac: '00:00:00:00:00:00' }),
  address('eth0', '192.168.1.7'),
  address('eth0', 'fe80::7'),
  address('wlan0', '192.168.1.8'),
  address('wg0', '10.8.0.2', { mac: '00:00:00:00:00:00' }),
  address('six0', 'fe80::8'),
];

it.each([
  ['all of IPv4', { bind: '0.0.0.0' }, ['eth0', 'wlan0'], false],
  ['both families', { bind: '::' }, ['eth0', 'six0', 'wlan0'], true],
  ['one address', { bind: '192.168.1.8' }, ['wlan0'], false],
  ['this machine only', { bind: '127.0.0.1' }, [], false],
  ['this machine only, by name', { bind: 'localhost' }, [], false],
  ['an address that is not there', { bind: '192.168.1.9' }, [], false],
  ['those that are allowed', { bind: '0.0.0.0', interfaces: ['wlan0', 'eth9'] }, ['wlan0'], false],
  ['a VPN, when somebody wants it', { bind: '0.0.0.0', interfaces: ['wg0'] }, ['wg0'], false],
  ['not the loopback, whoever wants it', { bind: '0.0.0.0', interfaces: ['lo'] }, [], false],
])('tells on %s', (_what, settings, interfaceNames, ipv6) => {
  expect(scopeOf(settings, all)).toMatchObject({ interfaceNames, ipv6 });
});

it('tells no address on which the broker does not listen', () => {
  expect(scopeOf({ bind: '0.0.0.0' }, all).addresses.map(({ family }) => family)).toEqual([4, 4]);
  expect(scopeOf({ bind: '192.168.1.7' }, all)).toMatchObject({ only: '192.168.1.7' });
});
