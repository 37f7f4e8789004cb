import { EventEmitter } from 'node:events';
import type { LookupFunction } from 'node:net';
import { toMqtt2goError } from '@mqtt2go/protocol';
import { activate } from './activation/activate.js';
import type { Appliance } from './appliance/appliance.js';
import { SwitchAppliance } from './appliance/switch-appliance.js';
import { BrokerFinder } from './broker-finder.js';
import { DeviceClock } from './clock.js';
import type { DeviceEvents } from './device-events.js';
import { ActivationTakenBack } from './home/home-deps.js';
import { liveAtHome } from './home/home-life.js';
import type { BackOff } from './retrying.js';
import type { DeviceIdentity } from './store/device-identity.js';
import type { DevicePhase, DeviceStore } from './store/device-store.js';
import type { WifiCredentials } from './wire.js';

/** How patient a device is; milliseconds. */
export interface DeviceTimes {
  readonly backOff: BackOff;
  readonly connectTimeoutMs: number;
  /** How long it waits for its broker data before it asks again. */
  readonly answerTimeoutMs: number;
  /** How often it asks for its topics as long as nobody has named it. */
  readonly askAgainMs: number;
  readonly reportEveryMs: number;
  /** How long after a renewal that came to nothing it asks again. */
  readonly renewAgainMs: number;
}

export const defaultTimes: DeviceTimes = {
  backOff: { minMs: 500, maxMs: 30_000 },
  connectTimeoutMs: 10_000,
  answerTimeoutMs: 10_000,
  askAgainMs: 60_000,
  reportEveryMs: 60_000,
  renewAgainMs: 3_600_000,
};

export interface DeviceOptions {
  readonly finder?: BrokerFinder;
  /** A switch by default. */
  readonly appliance?: Appliance;
  readonly times?: Partial<DeviceTimes>;
  /**
   * Unix time in milliseconds by the device's own clock, for the timestamps of its messages. It may be wrong or start in
   * 1970: what matters is reckoned by the platform's time.
   */
  readonly now?: () => number;
  /**
   * For a device that is on the guest network: it asks the gateway for the home's Wi-Fi, keeps it and joins it. Called once
   * in an activation; not at all where the gateway does not tell it.
   */
  readonly joinWifi?: (wifi: WifiCredentials) => Promise<void> | void;
  /** Uniform in [0, 1), for all jitter. */
  readonly random?: () => number;
  /** How the addresses of hosts are found; by the system's resolver by default. */
  readonly lookup?: LookupFunction;
}

/**
 * A device, from the factory to a life in its home: the steps 3 to 9, 12 and 13 of "Setup via WPS with Remote
 * Broker", then obeying commands and reporting. It goes on from what its store says, so it can be stopped (or
 * killed) at any moment and run again. It renews its certificate in time, follows its home to another broker, and looks
 * for it where it may be when it is not where it was.
 */
export class Device extends EventEmitter<DeviceEvents> {
  readonly #store: DeviceStore;
  readonly #finder: BrokerFinder;
  readonly #appliance: Appliance;
  readonly #times: DeviceTimes;
  readonly #joinWifi: DeviceOptions['joinWifi'];
  readonly #clock: DeviceClock;
  readonly #random: () => number;
  readonly #lookup: LookupFunction | undefined;
  #stopping: AbortController | undefined;
  #running: Promise<void> | undefined;

  constructor(store: DeviceStore, options: DeviceOptions = {}) {
    super();
    this.#store = store;
    this.#finder = options.finder ?? new BrokerFinder();
    this.#appliance = options.appliance ?? new SwitchAppliance();
    this.#times = { ...defaultTimes, ...options.times };
    this.#joinWifi = options.joinWifi;
    this.#clock = new DeviceClock(options.now ?? Date.now);
    this.#random = options.random ?? Math.random;
    this.#lookup = options.lookup;
  }

  /**
   * Lives until it is stopped, by `signal` or {@link stop}; resolves when the connection has been closed.
   * @throws Mqtt2goError `server_untrusted` when a server is not from the device's CA (nothing was said to it),
   * `certificate_not_accepted` when what it got is not its own, `configuration_invalid` when its store is broken, or
   * the code of a refusal that no repetition would change, such as `activation_code_wrong`
   */
  run(signal?: AbortSignal): Promise<void> {
    this.#running ??= this.#run(signal).finally(() => {
      this.#running = undefined;
      this.#stopping = undefined;
    });
    return this.#running;
  }

  /** Ends {@link run}; resolves when the connection has been closed. */
  async stop(): Promise<void> {
    this.#stopping?.abort(new DOMException('The device was stopped.', 'AbortError'));
    await this.#running?.catch(() => undefined);
  }

  async #run(outer: AbortSignal | undefined): Promise<void> {
    const stopping = new AbortController();
    this.#stopping = stopping;
    const signal = outer === undefined ? stopping.signal : AbortSignal.any([outer, stopping.signal]);
    try {
      const identity = await this.#store.identity();
      const { settings, phase } = await this.#store.state();
      this.#appliance.restore(settings);
      await this.#live(identity, phase, signal);
    } catch (error) {
      if (signal.aborted) return;
      const problem = toMqtt2goError(error);
      this.emit('problem', { error: problem });
      throw problem;
    }
  }

  async #live(identity: DeviceIdentity, phase: DevicePhase, signal: AbortSignal): Promise<never> {
    this.emit('phase', phase);
    let joined = phase !== 'factory';
    for (;;) {
      if (!joined) {
        await activate(this.#common(identity), signal);
        this.emit('phase', 'joined');
        joined = true;
      }
      try {
        await this.#liveAtHome(identity, signal);
      } catch (error) {
        if (!(error instanceof ActivationTakenBack)) throw error;
        await this.#store.forget();
        this.emit('phase', 'factory');
        joined = false;
      }
    }
  }

  #liveAtHome(identity: DeviceIdentity, signal: AbortSignal): Promise<never> {
    const { askAgainMs, reportEveryMs, renewAgainMs } = this.#times;
    return liveAtHome(
      {
        ...this.#common(identity),
        appliance: this.#appliance,
        askAgainMs,
        reportEveryMs,
        renewAgainMs,
        refusalsBeforeRejoin: 4,
        missesBeforeLooking: 6,
        triesOfNext: 8,
        onNotice: (notice) => this.emit('notice', notice),
        onActive: (topics) => {
          this.emit('phase', 'active');
          this.emit('active', topics);
        },
        onCommand: (command) => this.emit('command', command),
        onReport: (topic, message) => this.emit('report', topic, message),
      },
      signal,
    );
  }

  #common(identity: DeviceIdentity) {
    const { backOff, connectTimeoutMs, answerTimeoutMs } = this.#times;
    return {
      store: this.#store,
      identity,
      finder: this.#finder,
      clock: this.#clock,
      random: this.#random,
      backOff,
      connectTimeoutMs,
      answerTimeoutMs,
      joinWifi: this.#joinWifi,
      lookup: this.#lookup,
      onStep: (step: DeviceEvents['step'][0]) => void this.emit('step', step),
      onProblem: (problem: DeviceEvents['problem'][0]) => void this.emit('problem', problem),
    };
  }
}
