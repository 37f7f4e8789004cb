import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { isIPv6, type LookupFunction } from 'node:net';
import { localBrokerHost } from '@mqtt2go/protocol';
import { type FoundGateway, FoundGateways } from './found-gateways.js';
import { localAddresses, type LocalAddress } from './local-addresses.js';
import { type Log, noLog } from './log.js';
import { sameName } from './messages.js';
import { MulticastLink } from './multicast-link.js';

export interface LocalBrokerLookupOptions {
  /** How long is waited when nobody answers; milliseconds, 2,000 by default. */
  readonly timeoutMs?: number;
  /** Told when more than one machine says it is MQTT2GO.local. The first that answered is taken. */
  readonly onSeveral?: (gateways: readonly FoundGateway[]) => void;
  /** Looks on the loopback link, too, and takes its addresses. For tests on one machine. */
  readonly allowLoopback?: boolean;
  /** Resolves all other names; the system's resolver by default. */
  readonly otherwise?: LookupFunction;
  readonly log?: Log;
}

/** After the first answer others may come for as long: RFC 6762, section 6, lets a responder wait up to 120 ms. */
const settleMs = 150;
/** When it is asked, as parts of the time limit: multicasts get lost in a Wi-Fi. */
const askAt = [0, 0.25, 0.6];
const rememberedMs = 10_000;

/**
 * Looks for the gateway in the house: asks for `_mqtt._tcp.local` by multicast DNS on all links of this machine and
 * takes what points to MQTT2GO.local. Whatever is found is a hint: the caller connects under the name MQTT2GO.local and
 * checks the server's certificate, which is the proof.
 */
export class LocalBrokerLookup {
  readonly #timeoutMs: number;
  readonly #onSeveral: (gateways: readonly FoundGateway[]) => void;
  readonly #allowLoopback: boolean;
  readonly #otherwise: LookupFunction;
  readonly #log: Log;
  #remembered: { readonly gateway: FoundGateway; readonly untilMs: number } | undefined;

  constructor(options: LocalBrokerLookupOptions = {}) {
    this.#timeoutMs = options.timeoutMs ?? 2_000;
    this.#onSeveral = options.onSeveral ?? (() => undefined);
    this.#allowLoopback = options.allowLoopback ?? false;
    this.#otherwise = options.otherwise ?? systemLookup;
    this.#log = options.log ?? noLog;
  }

  /**
   * A `LocalLookup` of the device SDK: the host is the name MQTT2GO.local, which {@link lookup} resolves. Undefined when
   * nobody answers in time, and at once on a machine without a network.
   */
  readonly find = async (signal: AbortSignal): Promise<{ host: string; port: number } | undefined> => {
    const gateway = await this.#look(signal);
    return gateway && { host: localBrokerHost, port: gateway.port };
  };

  /** For `lookup` of Node's sockets: MQTT2GO.local by multicast DNS, every other name as before. */
  readonly lookup: LookupFunction = (hostname, options, answer) => {
    if (sameName(hostname) !== sameName(localBrokerHost)) {
      this.#otherwise(hostname, options, answer);
      return;
    }
    const known = this.#remembered;
    const gateway =
      known !== undefined && known.untilMs > Date.now()
        ? Promise.resolve(known.gateway)
        : this.#look(AbortSignal.timeout(this.#timeoutMs * 2));
    gateway
      .then((found) => addressesOf(found, options.family))
      .then(
        (addresses) => {
          const [first] = addresses;
          if (first === undefined) answer(notFound(hostname), '');
          else if (options.all === true) answer(null, addresses);
          else answer(null, first.address, first.family);
        },
        (error: unknown) => answer(error instanceof Error ? error : notFound(hostname), ''),
      );
  };

  async #look(signal: AbortSignal): Promise<FoundGateway | undefined> {
    this.#remembered = undefined;
    const on = localAddresses().filter((address) => this.#isLookedOn(address));
    if (on.length === 0) return undefined;
    const link = await MulticastLink.open(on, this.#log).catch((err: unknown) => {
      this.#log.warn({ err }, 'no look for a gateway in the house');
      return undefined;
    });
    if (link === undefined) return undefined;
    try {
      const found = await this.#collect(link, signal);
      signal.throwIfAborted();
      const [gateway] = found;
      if (found.length > 1) this.#onSeveral(found);
      if (gateway !== undefined) this.#remembered = { gateway, untilMs: Date.now() + rememberedMs };
      return gateway;
    } finally {
      await link.close();
    }
  }

  #isLookedOn({ isLoopback, mac }: LocalAddress): boolean {
    return isLoopback ? this.#allowLoopback : !/^[0:]*$/.test(mac);
  }

  #collect(link: MulticastLink, signal: AbortSignal): Promise<FoundGateway[]> {
    const gateways = new FoundGateways(this.#allowLoopback);
    const timers: NodeJS.Timeout[] = [];
    return new Promise((resolve) => {
      const done = (): void => {
        for (const timer of timers) clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve(gateways.found);
      };
      let asked = new Set<string>();
      const ask = (isNew: boolean): void => {
        const questions = gateways.missing.filter(({ name, type }) => !isNew || !asked.has(`${type} ${name}`));
        asked = new Set([...asked, ...questions.map(({ name, type }) => `${type} ${name}`)]);
        link.ask(questions);
      };
      let settling = false;
      link.onMessage((message) => {
        gateways.add(message);
        if (gateways.found.length === 0) ask(true);
        else if (!settling) {
          settling = true;
          timers.push(setTimeout(done, settleMs));
        }
      });
      signal.addEventListener('abort', done, { once: true });
      for (const part of askAt) timers.push(setTimeout(() => ask(false), part * this.#timeoutMs));
      timers.push(setTimeout(done, this.#timeoutMs));
      if (signal.aborted) done();
    });
  }
}

function addressesOf(gateway: FoundGateway | undefined, family: unknown): LookupAddress[] {
  const wanted = family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family;
  return (gateway?.addresses ?? [])
    .map((address) => ({ address, family: isIPv6(address.split('%')[0] ?? '') ? 6 : 4 }))
    .filter((address) => (wanted !== 4 && wanted !== 6 ? true : address.family === wanted));
}

function notFound(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}: no gateway answers in this network`), {
    code: 'ENOTFOUND',
    hostname,
    syscall: 'getaddrinfo',
  });
}
