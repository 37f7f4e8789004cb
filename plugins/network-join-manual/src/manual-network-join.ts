import {
  type DoorOpening,
  GuardedNetworkJoin,
  type GuardOptions,
  NetworkJoin,
  type NetworkJoinAnswer,
  type NetworkJoinEvent,
  type NetworkJoinMethod,
  type NetworkJoinRequest,
} from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';

const methods = ['manual', 'wps'] as const satisfies readonly NetworkJoinMethod[];

const instructions: Readonly<Record<(typeof methods)[number], string>> = {
  manual: 'Choose the Wi-Fi of your home on the device, or in its own app, and type in its password.',
  wps: 'Press the WPS button on your Wi-Fi router, and within two minutes the one on the device.',
};

/** Nothing opens, so that there is nothing to close. */
class NoDoor {
  readonly methods = methods;

  async open({ method }: DoorOpening): Promise<string> {
    if (method === 'guest') throw new Mqtt2goError('conflict');
    return instructions[method];
  }

  async shut(): Promise<void> {
    // As above.
  }
}

/** Tells the person what to press or type. Any number of activations at once, in as many homes. */
export class ManualNetworkJoin extends NetworkJoin {
  override readonly methods = methods;
  readonly #open = new Map<string, GuardedNetworkJoin>();
  readonly #listeners = new Set<(event: NetworkJoinEvent) => void>();
  #running = false;

  constructor(private readonly options: GuardOptions = {}) {
    super();
  }

  override async start(): Promise<void> {
    this.#running = true;
  }

  override async stop(): Promise<void> {
    this.#running = false;
    await Promise.all([...this.#open.values()].map((one) => one.stop()));
  }

  override async open(request: NetworkJoinRequest): Promise<NetworkJoinAnswer> {
    if (!this.#running) throw new Mqtt2goError('unavailable');
    const known = this.#open.get(request.activationId);
    if (known) return known.open(request);
    const one = new GuardedNetworkJoin(new NoDoor(), this.options);
    // Before anything is awaited, so that whoever asks for it at the same time gets the same.
    this.#open.set(request.activationId, one);
    one.onEvent((event) => {
      if (event.kind === 'closed') void this.#forget(event.activationId, one);
      for (const listener of this.#listeners) listener(event);
    });
    const started = one.start();
    try {
      await started;
      return await one.open(request);
    } catch (error) {
      await this.#forget(request.activationId, one);
      throw error;
    }
  }

  override async close(activationId: string): Promise<void> {
    await this.#open.get(activationId)?.close(activationId);
  }

  override onEvent(listener: (event: NetworkJoinEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #forget(activationId: string, one: GuardedNetworkJoin): Promise<void> {
    if (this.#open.get(activationId) === one) this.#open.delete(activationId);
    await one.stop();
  }
}
