import { BlockList, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** An address of this machine. */
export interface LocalAddress {
  readonly interfaceName: string;
  readonly family: 4 | 6;
  /** Without zone. */
  readonly address: string;
  /** Length of its network's prefix, in bits. */
  readonly prefix: number;
  readonly isLoopback: boolean;
  /** IPv6: `fe80::/10`. */
  readonly isLinkLocal: boolean;
  /** All zeros where there is no link with neighbours, as of a VPN. */
  readonly mac: string;
}

/** What the machine has at the moment, of interfaces that are up. */
export function localAddresses(read: typeof networkInterfaces = networkInterfaces): LocalAddress[] {
  return Object.entries(read()).flatMap(([interfaceName, infos = []]) =>
    infos.flatMap(({ address, family, cidr, internal, mac }) => {
      const prefix = Number(cidr?.split('/')[1]);
      if (!Number.isInteger(prefix)) return [];
      return [
        {
          interfaceName,
          family: family === 'IPv6' ? (6 as const) : (4 as const),
          address,
          prefix,
          isLoopback: internal,
          isLinkLocal: family === 'IPv6' && isLinkLocal(address),
          mac,
        },
      ];
    }),
  );
}

const linkLocal = new BlockList();
linkLocal.addSubnet('fe80::', 10, 'ipv6');

/** @param address IPv6, with or without zone */
export function isLinkLocal(address: string): boolean {
  const [plain = ''] = address.split('%');
  return isIPv6(plain) && linkLocal.check(plain, 'ipv6');
}

/** Which of this machine's links an address is on. Multicast DNS is of one link: RFC 6762, section 11. */
export class Links {
  readonly #networks: { readonly interfaceName: string; readonly family: 4 | 6; readonly addresses: BlockList }[] = [];
  readonly #own = new Set<string>();

  constructor(addresses: readonly LocalAddress[]) {
    for (const { interfaceName, family, address, prefix } of addresses) {
      const network = new BlockList();
      network.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4');
      this.#networks.push({ interfaceName, family, addresses: network });
      this.#own.add(address);
    }
  }

  /** @param source as a datagram has it: link-local IPv6 with its zone. Undefined for an address of another network. */
  interfaceOf(source: string): string | undefined {
    const [address = '', zone] = source.split('%');
    const family = isIPv6(address) ? 6 : 4;
    return this.#networks.find(
      (network) =>
        network.family === family &&
        (zone === undefined || zone === network.interfaceName) &&
        network.addresses.check(address, family === 6 ? 'ipv6' : 'ipv4'),
    )?.interfaceName;
  }

  isOwn(source: string): boolean {
    return this.#own.has(source.split('%')[0] ?? source);
  }
}

const never = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  never.addSubnet(network, prefix, 'ipv4');
never.addAddress('::', 'ipv6');
never.addSubnet('ff00::', 8, 'ipv6');
// IPv4 in the form of IPv6 needs no lines of its own: a BlockList takes it for the IPv4 address that it is.

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** False for addresses that are no other machine's: unspecified, multicast, reserved, and this machine's own loopback. */
export function isReachable(address: string, allowLoopback = false): boolean {
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  return !never.check(address, family) && (allowLoopback || !loopback.check(address, family));
}
