import type { Duplex } from 'node:stream';
import type { Client, ConnectPacket } from 'aedes';
import type { BrokerCounters } from '../broker-stats.js';
import type { Log } from '../log.js';
import type { KeptSessions } from '../sessions/kept-sessions.js';
import type { SessionList } from '../sessions/session-list.js';
import { Takeovers } from '../sessions/takeovers.js';
import type { Admission, AdmissionDesk, Candidate } from './admission.js';
import type { Arrival } from './arrival.js';
import { type Refusal, refuse } from './refusals.js';

/** Sessions that one controller may hold at once: a person has a few phones, not hundreds. */
const maxSessionsPerOwner = 64;

export interface EntranceOptions {
  readonly desk: AdmissionDesk;
  readonly sessions: SessionList;
  readonly kept: KeptSessions;
  readonly counters: BrokerCounters;
  readonly log: Log;
}

/** A client's way from its connection to its session, as aedes asks for it. */
export class Entrance {
  readonly #options: EntranceOptions;
  readonly #arrivals = new WeakMap<Duplex, Arrival>();
  readonly #candidates = new WeakMap<Client, Candidate | Refusal>();
  readonly #takeovers = new Takeovers();

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  /** To be told of each connection before aedes gets it. */
  arrived(connection: Duplex, arrival: Arrival): void {
    this.#arrivals.set(connection, arrival);
  }

  /** Before CONNECT is looked at: aedes takes the session's name from it, and the claimed one is replaced by the proved one. */
  identify(client: Client, packet: ConnectPacket): void {
    const arrival = this.#arrivals.get(client.conn);
    const candidate =
      arrival === undefined ? refuse('certificate_missing') : this.#options.desk.identify(arrival, packet);
    this.#candidates.set(client, candidate);
    if ('verify' in candidate) {
      packet.clientId = candidate.clientId;
      packet.clean = (packet.clean ?? true) || candidate.isAlwaysClean;
    } else {
      // A refused client is told so by CONNACK, under a name that disturbs nobody.
      packet.clientId = `refused/${crypto.randomUUID()}`;
      packet.clean = true;
    }
  }

  /** Whether it comes in. If it does, nothing is left of the one whose session it takes over. */
  async admit(client: Client): Promise<Admission> {
    const { sessions, kept, counters, log } = this.#options;
    const candidate = this.#candidates.get(client) ?? refuse('certificate_missing');
    const admission = 'verify' in candidate ? await this.#verify(client, candidate) : candidate;
    if (admission.outcome === 'refused') {
      counters.refused[admission.reason] += 1;
      const from = this.#arrivals.get(client.conn)?.from;
      log.debug({ client: client.id, from, reason: admission.reason }, 'a client was turned away');
      return admission;
    }
    counters.admitted += 1;
    await this.#takeovers.begin(client);
    if (!client.closed) sessions.add(client, admission);
    if (!client.clean) kept.note(client.id, admission.key);
    return admission;
  }

  async #verify(client: Client, candidate: Candidate): Promise<Admission> {
    const admission = await candidate.verify(() => !client.closed);
    const isFull =
      candidate.owner.kind === 'controller' && this.#options.sessions.countOf(candidate.owner) >= maxSessionsPerOwner;
    return admission.outcome === 'admitted' && isFull ? refuse('too_many_connections') : admission;
  }
}
