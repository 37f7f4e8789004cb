import { isIP } from 'node:net';
import type { LocalAddress } from '@mqtt2go/mdns';

export interface ScopeSettings {
  /** The address that the home's broker listens on; nothing is told of addresses on which it does not. */
  readonly bind: string;
  /** Names of the only interfaces on which it may be told; all that have neighbours by default. */
  readonly interfaces?: readonly string[] | undefined;
}

/** Where the gateway is told, and with which addresses. */
export interface Scope {
  /** Those of the interfaces that count; the broker listens on each of them. */
  readonly addresses: readonly LocalAddress[];
  readonly interfaceNames: readonly string[];
  readonly ipv6: boolean;
  /** Set when the broker listens on one address only. */
  readonly only: string | undefined;
}

export function scopeOf({ bind, interfaces }: ScopeSettings, all: readonly LocalAddress[]): Scope {
  const addresses = all.filter(
    (address) => isListenedOn(bind, address) && !address.isLoopback && isAllowed(interfaces, address),
  );
  const interfaceNames = [...new Set(addresses.map(({ interfaceName }) => interfaceName))].sort();
  const isAny = bind === '0.0.0.0' || bind === '::';
  return { addresses, interfaceNames, ipv6: bind === '::', only: isAny ? undefined : bind };
}

/** Node's listener on `::` takes IPv4, too. */
function isListenedOn(bind: string, { address, family }: LocalAddress): boolean {
  if (bind === '::') return true;
  return bind === '0.0.0.0' ? family === 4 : isIP(bind) !== 0 && bind === address;
}

function isAllowed(interfaces: readonly string[] | undefined, { interfaceName, mac }: LocalAddress): boolean {
  // A VPN has no neighbours, unless somebody knows better.
  return interfaces === undefined ? !/^[0:]*$/.test(mac) : interfaces.includes(interfaceName);
}
