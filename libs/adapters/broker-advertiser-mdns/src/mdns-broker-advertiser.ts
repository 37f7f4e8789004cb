import {
  type LocalAddress,
  Links,
  type Log,
  localAddresses,
  type MdnsMessage,
  MulticastLink,
  noLog,
} from '@mqtt2go/mdns';
import { advertiserProblem, StatefulBrokerAdvertiser } from '@mqtt2go/ports';
import { localBrokerHost, toMqtt2goError } from '@mqtt2go/protocol';
import { NameClaim } from './name-claim.js';
import { Neighbours } from './neighbours.js';
import { type Scope, type ScopeSettings, scopeOf } from './scope.js';

export interface MdnsAdvertiserOptions extends ScopeSettings {
  readonly log?: Log;
  /** How often a gateway that waits tries whether the name is free, if nobody says goodbye; milliseconds, a minute. */
  readonly retryMs?: number;
  /** How often the machine's addresses are looked at; 2,000 ms. */
  readonly pollMs?: number;
}

/** After a goodbye, which holds for a second (RFC 6762, section 10.1); and between two attempts in any case. */
const breathMs = 1_200;

/**
 * Advertises by multicast DNS (RFC 6762, 6763): host MQTT2GO.local and a service of `_mqtt._tcp`. The machine's addresses
 * are looked at all the time, and all is told anew when they change.
 */
export class MdnsBrokerAdvertiser extends StatefulBrokerAdvertiser {
  readonly #settings: ScopeSettings;
  readonly #log: Log;
  readonly #retryMs: number;
  readonly #pollMs: number;
  readonly #neighbours: Neighbours;
  #port: number | undefined;
  #scope: Scope | undefined;
  #links = new Links([]);
  #link: MulticastLink | undefined;
  #claim: NameClaim | undefined;
  #failedTries = 0;
  #lastTryMs = Number.NEGATIVE_INFINITY;
  #polling: NodeJS.Timeout | undefined;
  #retrying: NodeJS.Timeout | undefined;
  #retryAtMs = 0;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: MdnsAdvertiserOptions) {
    super();
    this.#settings = options;
    this.#log = options.log ?? noLog;
    this.#retryMs = options.retryMs ?? 60_000;
    this.#pollMs = options.pollMs ?? 2_000;
    this.#neighbours = new Neighbours(this.#retryMs * 2.5);
    this.onChange((state) => this.#tell(state));
  }

  override async start(port: number): Promise<void> {
    if (this.#port !== undefined) return;
    this.#port = port;
    this.become({ kind: 'claiming' });
    this.#polling = setInterval(() => this.#inTurn(() => this.#look()), this.#pollMs);
    this.#inTurn(() => this.#look());
  }

  override async stop(): Promise<void> {
    this.#port = undefined;
    clearInterval(this.#polling);
    this.#inTurn(() => this.#withdraw());
    await this.#queue;
    this.become({ kind: 'off', reason: 'stopped' });
  }

  /** One thing after the other; none of them ends the process. */
  #inTurn(work: () => Promise<void>): void {
    this.#queue = this.#queue.then(work).catch((error: unknown) => {
      this.#log.warn({ err: toMqtt2goError(error) }, 'the gateway cannot be advertised now');
    });
  }

  /** Looks whether the machine's addresses have changed, and who else was heard. */
  async #look(): Promise<void> {
    if (this.#port === undefined) return;
    const scope = scopeOf(this.#settings, localAddresses());
    if (JSON.stringify(scope) === JSON.stringify(this.#scope)) {
      this.#showNeighbours();
      return;
    }
    await this.#withdraw();
    if (scope.interfaceNames.length === 0) {
      this.#scope = scope;
      this.become({ kind: 'off', reason: whyNothing(this.#settings) });
      return;
    }
    try {
      await this.#listen(scope.addresses);
    } catch (error) {
      // Tried again at the next look.
      this.become({ kind: 'off', reason: toMqtt2goError(error).message });
      return;
    }
    this.#scope = scope;
    this.#log.info({ interfaces: scope.interfaceNames }, `${localBrokerHost} is told on these interfaces`);
    this.#tryToHave();
  }

  async #withdraw(): Promise<void> {
    this.#scope = undefined;
    this.#giveUpRetry();
    const [claim, link] = [this.#claim, this.#link];
    this.#claim = undefined;
    this.#link = undefined;
    await claim?.release();
    await link?.close();
    this.#neighbours.forgetBefore(Number.POSITIVE_INFINITY);
  }

  async #listen(addresses: readonly LocalAddress[]): Promise<void> {
    this.#links = new Links(addresses);
    this.#link = await MulticastLink.open(addresses, this.#log);
    this.#link.onMessage((message) => this.#hear(message));
  }

  #tryToHave(): void {
    const [port, scope] = [this.#port, this.#scope];
    if (port === undefined || scope === undefined) return;
    this.#giveUpRetry();
    if (this.state.kind !== 'name-taken') this.become({ kind: 'claiming' });
    const startedMs = performance.now();
    this.#lastTryMs = startedMs;
    const claim = new NameClaim(scope, port, {
      held: () => {
        if (this.#claim !== claim) return;
        this.#failedTries = 0;
        // Who has not answered meanwhile is not there any more.
        this.#neighbours.forgetBefore(startedMs);
        this.#hold();
      },
      lost: () => this.#inTurn(() => this.#waitFor(claim)),
    });
    this.#claim = claim;
  }

  #hold(): void {
    this.become({ kind: 'advertised', rivals: this.#neighbours.addresses() });
  }

  /** Somebody else has the name. Who it is is asked for: the answer comes to {@link #hear}. */
  async #waitFor(claim: NameClaim): Promise<void> {
    if (this.#claim !== claim) return;
    this.#claim = undefined;
    await claim.release();
    const holders = this.#neighbours.addresses('holders');
    this.become({ kind: 'name-taken', holders });
    this.#link?.ask([
      { name: localBrokerHost, type: 'A' },
      { name: localBrokerHost, type: 'AAAA' },
    ]);
    // Nobody on this link says that it is his: a stranger may only have pretended to.
    const soonMs = breathMs * 2 ** this.#failedTries;
    this.#failedTries = Math.min(this.#failedTries + 1, 16);
    this.#tryIn(holders.length > 0 ? this.#retryMs : Math.min(soonMs, this.#retryMs));
  }

  /** Or before, if that is settled already. */
  #tryIn(ms: number): void {
    const atMs = performance.now() + ms;
    if (this.#retrying !== undefined && this.#retryAtMs <= atMs) return;
    clearTimeout(this.#retrying);
    this.#retryAtMs = atMs;
    this.#retrying = setTimeout(() => {
      this.#retrying = undefined;
      this.#inTurn(async () => {
        if (this.#claim === undefined) this.#tryToHave();
      });
    }, ms);
  }

  #giveUpRetry(): void {
    clearTimeout(this.#retrying);
    this.#retrying = undefined;
  }

  #hear(message: MdnsMessage): void {
    // It is told at the next look: not as often as strangers like.
    const heard = this.#neighbours.hear(message, this.#links);
    // However often they say goodbye, the name is tried for once in a while only.
    if (heard === 'goodbye' && this.state.kind === 'name-taken' && this.#claim === undefined)
      this.#tryIn(Math.max(breathMs, this.#lastTryMs + 4 * breathMs - performance.now()));
  }

  #showNeighbours(): void {
    if (this.state.kind === 'advertised') this.#hold();
    if (this.state.kind === 'name-taken')
      this.become({ kind: 'name-taken', holders: this.#neighbours.addresses('holders') });
  }

  #tell(state: typeof this.state): void {
    const problem = advertiserProblem(state);
    if (problem !== undefined) this.#log.warn({ code: problem.code, ...state }, problem.message);
    else if (state.kind === 'advertised') this.#log.info({ port: this.#port }, `found as ${localBrokerHost}`);
    else if (state.kind === 'off') this.#log.info({ reason: state.reason }, `not found as ${localBrokerHost}`);
  }
}

function whyNothing({ bind, interfaces }: ScopeSettings): string {
  if (interfaces !== undefined) return `none of the interfaces ${interfaces.join(', ')} is up with an address for it`;
  return ['127.0.0.1', '::1', 'localhost'].includes(bind)
    ? 'the broker listens on this machine only (MQTT2GO_BIND)'
    : 'there is no network';
}
