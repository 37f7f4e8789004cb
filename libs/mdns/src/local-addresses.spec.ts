import { describe, expect, it } from 'vitest';
import { isLinkLocal, isReachable, Links, localAddresses } from './local-addresses.js';

const read = () => ({
  lo: [
    {
      address: '127.0.0.1',
      netmask: '255.0.0.0',
      family: 'IPv4' as const,
      mac: '00:00:00:00:00:00',
      internal: true,
      cidr: '127.0.0.1/8',
    },
  ],
  eth0: [
    {
      address: '192.168.1.7',
      netmask: '255.255.255.0',
      family: 'IPv4' as const,
      mac: '02:00:00:00:00:01',
      internal: false,
      cidr: '192.168.1.7/24',
    },
    {
      address: 'fe80::7',
      netmask: 'ffff:ffff:ffff:ffff::',
      family: 'IPv6' as const,
      mac: '02:00:00:00:00:01',
      internal: false,
      cidr: 'fe80::7/64',
      scopeid: 2,
    },
  ],
  odd: [
    {
      address: '10.0.0.1',
      netmask: '255.0.255.0',
      family: 'IPv4' as const,
      mac: '02:00:00:00:00:02',
      internal: false,
      cidr: null,
    },
  ],
});

describe('addresses of this machine', () => {
  it('are those with a network', () => {
    expect(
      localAddresses(read).map(({ interfaceName, address, prefix }) => `${interfaceName} ${address}/${prefix}`),
    ).toEqual(['lo 127.0.0.1/8', 'eth0 192.168.1.7/24', 'eth0 fe80::7/64']);
    expect(localAddresses(read).map((address) => address.isLinkLocal)).toEqual([false, false, true]);
  });

  it.each([
    ['192.168.1.99', 'eth0'],
    ['127.5.5.5', 'lo'],
    ['fe80::99%eth0', 'eth0'],
    ['fe80::99', 'eth0'],
  ])('have %s on the link %s', (source, name) => {
    expect(new Links(localAddresses(read)).interfaceOf(source)).toBe(name);
  });

  it.each(['192.168.2.1', '8.8.8.8', 'fe80::99%wlan0', '2001:db8::1'])('do not have %s on a link', (source) => {
    expect(new Links(localAddresses(read)).interfaceOf(source)).toBeUndefined();
  });

  it('are known as own, with and without zone', () => {
    const links = new Links(localAddresses(read));
    expect(['192.168.1.7', 'fe80::7%eth0', '192.168.1.8'].map((source) => links.isOwn(source))).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe('an address to connect to', () => {
  it.each(['192.168.1.7', '10.0.0.1', '169.254.3.4', 'fd00::1', 'fe80::1', '2001:db8::1', '::ffff:192.168.1.7'])(
    'may be %s',
    (address) => expect(isReachable(address)).toBe(true),
  );

  it.each(['0.0.0.0', '0.1.2.3', '224.0.0.251', '255.255.255.255', '::', 'ff02::fb', '::ffff:224.0.0.1'])(
    'is never %s',
    (address) => expect(isReachable(address, true)).toBe(false),
  );

  it.each(['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1'])('is %s only if that is allowed', (address) => {
    expect([isReachable(address), isReachable(address, true)]).toEqual([false, true]);
  });
});

it('tells link-local addresses of IPv6', () => {
  expect(
    ['fe80::1', 'febf::1%eth0', 'fec0::1', '169.254.1.1', 'nonsense'].map((address) => isLinkLocal(address)),
  ).toEqual([true, true, false, false, false]);
});
