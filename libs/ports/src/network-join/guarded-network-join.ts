import { Mqtt2goError } from '@mqtt2go/protocol';
import { type Clock, SystemClock } from '../clock/clock.js';
import {
  NetworkJoin,
  type NetworkJoinAnswer,
  type NetworkJoinClosedBecause,
  type NetworkJoinEvent,
  type NetworkJoinMethod,
  type NetworkJoinRequest,
} from './network-join.js';
import { checkNetworkJoinRequest, randomPassphrase } from './network-join-request.js';
import type { SecretText } from './secret-text.js';

/** What an access point reports. `lost`: it went away, and with it perhaps what was open. */
export type NetworkDoorSignal =
  | { readonly kind: 'station-joined'; readonly mac: string }
  | { readonly kind: 'wps-succeeded'; readonly mac?: string }
  | { readonly kind: 'wps-failed' | 'wps-timed-out' | 'wps-overlap' | 'lost' };

/** A checked request; `guest` has all that it needs. */
export interface DoorOpening {
  readonly activationId: string;
  readonly method: NetworkJoinMethod;
  readonly closesAt: number;
  /** Until `closesAt`. */
  readonly openMs: number;
  readonly ssid: string;
  readonly passphrase: SecretText;
}

/** One access point that does as it is told. {@link GuardedNetworkJoin} sees to it that it is told one thing at a time. */
export interface NetworkDoor {
  readonly methods: readonly NetworkJoinMethod[];
  /** Reads settings and begins to listen; no error of the access point makes it reject. */
  prepare?(signal: (signal: NetworkDoorSignal) => void): Promise<void> | void;
  /** May fail half-way: {@link shut} is called then. Resolves with the instructions. */
  open(opening: DoorOpening): Promise<string>;
  /** Closes all that this or a former process may have opened. Resolves only when it is sure. */
  shut(): Promise<void>;
  /** Ends what {@link prepare} began. */
  release?(): Promise<void> | void;
}

export interface GuardOptions {
  readonly clock?: Clock;
  /** Milliseconds that no change of the clock touches. */
  readonly monotonic?: () => number;
  /** How often deadlines and failed closings are looked at; 500 ms. */
  readonly tickMs?: number;
}

export const defaultGuestSsid = 'MQTT2GO';
const maxOpenMs = 15 * 60_000;
/** The push button's window by the WPS specification. */
const wpsWindowMs = 120_000;

interface Opened {
  readonly request: NetworkJoinRequest;
  /** Its end moves along when the clock is corrected. */
  answer: NetworkJoinAnswer;
  /** On the monotonic clock: a gateway whose clock is put back keeps nothing open for longer. */
  readonly endsAt: number;
}

/**
 * The rules of {@link NetworkJoin} over a door: one activation at a time, one thing after the other, and from the first
 * line of an opening to the last of a confirmed closing the door counts as open, whatever fails in between.
 */
export class GuardedNetworkJoin extends NetworkJoin {
  readonly #door: NetworkDoor;
  readonly #clock: Clock;
  readonly #monotonic: () => number;
  readonly #tickMs: number;
  readonly #listeners = new Set<(event: NetworkJoinEvent) => void>();
  #queue: Promise<unknown> = Promise.resolve();
  #opened: Opened | undefined;
  /** Until a closing was confirmed nobody knows what a former process left. */
  #mayBeOpen = true;
  #ticking: ReturnType<typeof setInterval> | undefined;
  #tickUnderWay = false;
  #running = false;
  #stopMoving: () => void = () => undefined;

  constructor(door: NetworkDoor, options: GuardOptions = {}) {
    super();
    this.#door = door;
    this.#clock = options.clock ?? new SystemClock();
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#tickMs = options.tickMs ?? 500;
  }

  override get methods(): readonly NetworkJoinMethod[] {
    return this.#door.methods;
  }

  override async start(): Promise<void> {
    await this.#door.prepare?.((signal) => this.#onSignal(signal));
    this.#running = true;
    this.#stopMoving();
    this.#stopMoving = this.#clock.onCorrection(async (byMs) => this.#moveAlong(byMs));
    this.#ticking ??= setInterval(() => void this.tick(), this.#tickMs);
    await this.#inTurn(() => this.#shut()).catch(() => undefined);
  }

  override async stop(): Promise<void> {
    this.#running = false;
    this.#stopMoving();
    clearInterval(this.#ticking);
    this.#ticking = undefined;
    await this.#inTurn(async () => {
      if (this.#opened) await this.#end('asked');
      else if (this.#mayBeOpen) await this.#shut();
    }).catch(() => undefined);
    await this.#door.release?.();
  }

  override async open(request: NetworkJoinRequest): Promise<NetworkJoinAnswer> {
    checkNetworkJoinRequest(request);
    return this.#inTurn(() => this.#open(request));
  }

  override async close(activationId: string): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#opened?.request.activationId === activationId) await this.#end('asked');
      else if (!this.#opened && this.#mayBeOpen) await this.#shut();
    });
  }

  override onEvent(listener: (event: NetworkJoinEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Closes what is over, and tries again what could not be closed. Called by a timer; never rejects. */
  async tick(): Promise<void> {
    if (this.#tickUnderWay) return;
    this.#tickUnderWay = true;
    try {
      await this.#inTurn(async () => {
        if (this.#opened) {
          if (this.#isOver(this.#opened)) await this.#end('deadline');
        } else if (this.#mayBeOpen) await this.#shut();
      });
    } catch {
      // The next tick tries again.
    } finally {
      this.#tickUnderWay = false;
    }
  }

  async #open(request: NetworkJoinRequest): Promise<NetworkJoinAnswer> {
    const { activationId, method } = request;
    if (!this.#running) throw new Mqtt2goError('unavailable', 'The Wi-Fi is not looked after now; try again later.');
    if (this.#opened && this.#isOver(this.#opened)) await this.#end('deadline');
    if (this.#opened?.request.activationId === activationId) {
      if (this.#opened.request.method === method) return this.#opened.answer;
      throw new Mqtt2goError('conflict', 'The Wi-Fi is open for this activation by another method; close that first.');
    }
    if (this.#opened) throw new Mqtt2goError('another_device_is_being_added');
    if (!this.methods.includes(method)) {
      const can = this.methods.join(', ');
      throw new Mqtt2goError(
        'conflict',
        `This gateway cannot let devices in by ${method}, but by: ${can || 'nothing'}.`,
      );
    }
    const now = this.#clock.now();
    if (request.deadline <= now) throw new Mqtt2goError('activation_expired');
    if (this.#mayBeOpen) await this.#shut();

    const openMs = Math.min(request.deadline - now, method === 'wps' ? wpsWindowMs : maxOpenMs);
    const closesAt = now + openMs;
    const endsAt = this.#monotonic() + openMs;
    const ssid = request.ssid ?? defaultGuestSsid;
    const passphrase = request.passphrase ?? randomPassphrase();
    this.#mayBeOpen = true;
    try {
      const instructions = await this.#door.open({ activationId, method, closesAt, openMs, ssid, passphrase });
      const network = method === 'guest' ? { network: { ssid, passphrase } } : {};
      const answer = { method, closesAt, instructions, ...network };
      this.#opened = { request, answer, endsAt };
      return answer;
    } catch (error) {
      // What cannot be closed now is closed by a tick.
      await this.#shut().catch(() => undefined);
      throw error;
    }
  }

  #moveAlong(byMs: number): void {
    if (!this.#opened) return;
    const { answer } = this.#opened;
    this.#opened.answer = { ...answer, closesAt: answer.closesAt + byMs };
  }

  #isOver({ answer, endsAt }: Opened): boolean {
    return this.#clock.now() >= answer.closesAt || this.#monotonic() >= endsAt;
  }

  async #end(because: NetworkJoinClosedBecause): Promise<void> {
    const activationId = this.#opened?.request.activationId;
    this.#opened = undefined;
    this.#mayBeOpen = true;
    try {
      await this.#shut();
    } finally {
      if (activationId !== undefined) this.#emit({ activationId, kind: 'closed', because });
    }
  }

  async #shut(): Promise<void> {
    await this.#door.shut();
    this.#mayBeOpen = false;
  }

  #onSignal(signal: NetworkDoorSignal): void {
    const opened = this.#opened;
    if (!opened) return;
    const { activationId, method } = opened.request;
    const isWps = signal.kind.startsWith('wps-');
    if (isWps && method !== 'wps') return;
    if (signal.kind === 'station-joined' || signal.kind === 'wps-succeeded') this.#emit({ activationId, ...signal });
    else if (signal.kind !== 'lost') this.#emit({ activationId, kind: signal.kind });
    const because = endOf(signal);
    if (because === undefined) return;
    void this.#inTurn(async () => {
      if (this.#opened === opened) await this.#end(because);
    }).catch(() => undefined);
  }

  #emit(event: NetworkJoinEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch {
        // A listener's error is not to keep a network open.
      }
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }
}

function endOf({ kind }: NetworkDoorSignal): NetworkJoinClosedBecause | undefined {
  if (kind === 'lost') return 'lost';
  if (kind === 'wps-succeeded') return 'success';
  return kind === 'wps-timed-out' || kind === 'wps-overlap' ? 'wps-ended' : undefined;
}
