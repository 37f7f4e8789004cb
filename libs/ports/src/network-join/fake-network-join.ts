import { Mqtt2goError } from '@mqtt2go/protocol';
import {
  type DoorOpening,
  GuardedNetworkJoin,
  type GuardOptions,
  type NetworkDoor,
  type NetworkDoorSignal,
} from './guarded-network-join.js';
import { networkJoinMethods } from './network-join.js';

/** An access point in memory. It outlives the {@link FakeNetworkJoin} over it, as the real one outlives a process. */
export class FakeAccessPoint implements NetworkDoor {
  readonly methods = networkJoinMethods;
  /** What is open in it. */
  opening: DoorOpening | undefined;
  /** False: it answers nothing. */
  answers = true;
  #signal: ((signal: NetworkDoorSignal) => void) | undefined;

  prepare(signal: (signal: NetworkDoorSignal) => void): void {
    this.#signal = signal;
  }

  async open(opening: DoorOpening): Promise<string> {
    this.#mustAnswer();
    this.opening = opening;
    return 'Press the button, or choose the network.';
  }

  async shut(): Promise<void> {
    this.#mustAnswer();
    this.opening = undefined;
  }

  /** As when a device, or somebody else, does something at the access point. */
  report(signal: NetworkDoorSignal): void {
    this.#signal?.(signal);
  }

  #mustAnswer(): void {
    if (!this.answers) throw new Mqtt2goError('unavailable', 'The access point does not answer.');
  }
}

/** Opens and closes a Wi-Fi that is not there, for tests. */
export class FakeNetworkJoin extends GuardedNetworkJoin {
  constructor(
    readonly accessPoint: FakeAccessPoint = new FakeAccessPoint(),
    options: GuardOptions = {},
  ) {
    super(accessPoint, options);
  }
}
