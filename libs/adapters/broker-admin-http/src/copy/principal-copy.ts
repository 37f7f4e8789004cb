import type { ControllerPrincipal, DevicePrincipal, PrincipalKey } from '@mqtt2go/access';
import { deviceLoginName, normalSerial } from '../names/login-name.js';

/** What a broker is asked about. */
export type KnownPrincipal = DevicePrincipal | ControllerPrincipal;

/** Sessions that have to end, because of a change. */
export interface EndedSessions {
  readonly key: PrincipalKey;
  /** The names that they came with: a controller's, or one for each certificate of a device. */
  readonly names: readonly string[];
  /** True if what the broker keeps for the time after has to go too: its rights are no longer the same. */
  readonly forgets: boolean;
}

/** How many entries are looked at before the event loop gets its turn. */
const sliceSize = 2_000;

/** Who may come in, found by kind and id in constant time. */
export class PrincipalCopy {
  readonly #entries = new Map<string, KnownPrincipal>();
  /** What was put or removed while the copy is replaced: newer than what the replacement brings. */
  readonly #replacements = new Set<Set<string>>();
  #isComplete = false;

  /** False until the whole copy has been given once: what is missing may just not have come yet. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  get size(): number {
    return this.#entries.size;
  }

  device(id: string): DevicePrincipal | undefined {
    const found = this.#entries.get(`device/${id}`);
    return found?.kind === 'device' ? found : undefined;
  }

  controller(id: string): ControllerPrincipal | undefined {
    const found = this.#entries.get(`controller/${id}`);
    return found?.kind === 'controller' ? found : undefined;
  }

  /** Takes effect at once; the sessions that end by it are answered. */
  put(principals: readonly KnownPrincipal[]): EndedSessions[] {
    this.#touch(principals);
    return principals.flatMap((principal) => this.#set(principal));
  }

  remove(keys: readonly PrincipalKey[]): EndedSessions[] {
    this.#touch(keys);
    return keys.flatMap((key) => this.#delete(nameOf(key)));
  }

  /** Those that are not among `principals` are gone when it resolves. */
  async replaceAll(principals: AsyncIterable<KnownPrincipal> | Iterable<KnownPrincipal>): Promise<EndedSessions[]> {
    const touched = new Set<string>();
    const kept = new Set<string>();
    const ended: EndedSessions[] = [];
    this.#replacements.add(touched);
    try {
      let looked = 0;
      for await (const principal of principals) {
        const name = nameOf(principal);
        kept.add(name);
        if (!touched.has(name)) ended.push(...this.#set(principal));
      }
      for (const name of [...this.#entries.keys()]) {
        if (!kept.has(name) && !touched.has(name)) ended.push(...this.#delete(name));
        looked += 1;
        if (looked % sliceSize === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      this.#replacements.delete(touched);
    }
    this.#isComplete = true;
    return ended;
  }

  #touch(keys: readonly PrincipalKey[]): void {
    for (const touched of this.#replacements) for (const key of keys) touched.add(nameOf(key));
  }

  #set(principal: KnownPrincipal): EndedSessions[] {
    const before = this.#entries.get(nameOf(principal));
    this.#entries.set(nameOf(principal), principal);
    return before === undefined ? [] : endedBy(before, principal);
  }

  #delete(name: string): EndedSessions[] {
    const before = this.#entries.get(name);
    this.#entries.delete(name);
    return before === undefined ? [] : [{ key: before, names: namesOf(before), forgets: true }];
  }
}

export function nameOf({ kind, id }: PrincipalKey): string {
  return `${kind}/${id}`;
}

export function acceptsSerial(device: DevicePrincipal, serialNumber: string): boolean {
  return device.certificateSerials.some((accepted) => normalSerial(accepted) === serialNumber);
}

/** Every name that sessions of the principal may have. */
export function namesOf(principal: KnownPrincipal): string[] {
  if (principal.kind === 'controller') return [principal.id];
  return principal.certificateSerials.map((serialNumber) => deviceLoginName(principal.id, serialNumber));
}

/** Brokers remember what they were allowed as long as a session lives, so that fewer rights mean its end. */
function endedBy(before: KnownPrincipal, after: KnownPrincipal): EndedSessions[] {
  const isMoved = before.homeId !== after.homeId || before.gatewayId !== after.gatewayId;
  // What the broker has kept for a device of a home that moves away is still for it.
  if (before.hasMoved !== after.hasMoved && !isMoved) {
    const names = [...new Set([...namesOf(before), ...namesOf(after)])];
    return [{ key: after, names, forgets: after.hasMoved !== true }];
  }
  if (before.kind === 'device' && after.kind === 'device') {
    if (isMoved || before.deviceType !== after.deviceType) {
      return [{ key: after, names: [...new Set([...namesOf(before), ...namesOf(after)])], forgets: true }];
    }
    const names = namesOf(before).filter((name) => !namesOf(after).includes(name));
    return names.length === 0 ? [] : [{ key: after, names, forgets: false }];
  }
  if (before.kind === 'controller' && after.kind === 'controller') {
    const forgets = isMoved || before.role !== after.role;
    if (forgets || !isSamePassword(before, after)) return [{ key: after, names: namesOf(after), forgets }];
  }
  return [];
}

function isSamePassword({ password: a }: ControllerPrincipal, { password: b }: ControllerPrincipal): boolean {
  return a.hash === b.hash && a.salt === b.salt && a.iterations === b.iterations && a.algorithm === b.algorithm;
}
