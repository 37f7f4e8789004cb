import {
  type DoorOpening,
  GuardedNetworkJoin,
  type GuardOptions,
  type NetworkDoor,
  type NetworkDoorSignal,
  type NetworkJoinMethod,
} from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { GuestNetwork } from './guest-network.js';
import { HostapdControl } from './hostapd-control.js';
import { type HostapdSettings, readHostapdSettings } from './hostapd-settings.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** The access point of this machine, by {@link HostapdControl}. */
class HostapdDoor implements NetworkDoor {
  methods: readonly NetworkJoinMethod[] = [];
  #parts:
    | { control: HostapdControl; guestControl: HostapdControl; settings: HostapdSettings; guest?: GuestNetwork }
    | undefined;
  #signal: (signal: NetworkDoorSignal) => void = () => undefined;

  constructor(private readonly env: Environment) {}

  prepare(signal: (signal: NetworkDoorSignal) => void): void {
    const settings = readHostapdSettings(this.env);
    const control = new HostapdControl(settings);
    const guests = settings.MQTT2GO_HOSTAPD_GUEST_INTERFACE;
    const guest = guests === undefined ? {} : { guest: new GuestNetwork(control, settings, guests) };
    this.methods = guests === undefined ? ['wps'] : ['wps', 'guest'];
    this.#signal = signal;
    this.#parts = { control, guestControl: new HostapdControl(settings), settings, ...guest };
  }

  async open({ method, ...opening }: DoorOpening): Promise<string> {
    const { control, guestControl, settings, guest } = this.#prepared();
    const home = settings.MQTT2GO_HOSTAPD_INTERFACE;
    if (method === 'guest' && guest) {
      await guest.open({ method, ...opening });
      this.#listen(guestControl, settings.MQTT2GO_HOSTAPD_GUEST_INTERFACE ?? home);
      return `Connect the device to the Wi-Fi ${opening.ssid}, which is there for this device only, with the password shown.`;
    }
    this.#listen(control, home);
    await control.mustDo(home, 'WPS_PBC');
    return 'Press the WPS button on the device, within two minutes.';
  }

  async shut(): Promise<void> {
    const { control, guestControl, settings, guest } = this.#prepared();
    // Before anything is cancelled: hostapd reports a cancelled window as one that timed out.
    control.release();
    guestControl.release();
    await guest?.shut();
    const home = settings.MQTT2GO_HOSTAPD_INTERFACE;
    if ((await control.command(home, 'WPS_CANCEL')) === 'OK') return;
    // Without WPS in its configuration it has nothing to cancel, and says FAIL.
    const status = await control.command(home, 'WPS_GET_STATUS');
    if (!/^PBC Status: (?!Active)/m.test(status)) {
      throw new Mqtt2goError('unavailable', 'hostapd does not end the time of the push button.');
    }
  }

  release(): void {
    this.#parts?.control.release();
    this.#parts?.guestControl.release();
  }

  #listen(control: HostapdControl, socket: string): void {
    const line = (text: string): void => {
      const signal = signalOf(text);
      if (signal) this.#signal(signal);
    };
    control.listen(socket, line, () => this.#signal({ kind: 'lost' }));
  }

  #prepared() {
    if (this.#parts) return this.#parts;
    throw new Mqtt2goError('unavailable', 'hostapd is not looked after yet.');
  }
}

/** What an event of hostapd says, if it is one that matters here. Its words may hold what a stranger's device sent. */
export function signalOf(event: string): NetworkDoorSignal | undefined {
  const [word, first = ''] = event.split(' ');
  const mac = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(first) ? first : undefined;
  switch (word) {
    case 'AP-STA-CONNECTED':
      return mac === undefined ? undefined : { kind: 'station-joined', mac };
    case 'WPS-REG-SUCCESS':
      return mac === undefined ? { kind: 'wps-succeeded' } : { kind: 'wps-succeeded', mac };
    case 'WPS-SUCCESS':
      return { kind: 'wps-succeeded' };
    case 'WPS-FAIL':
      return { kind: 'wps-failed' };
    case 'WPS-TIMEOUT':
      return { kind: 'wps-timed-out' };
    case 'WPS-OVERLAP-DETECTED':
      return { kind: 'wps-overlap' };
    default:
      return undefined;
  }
}

/** The push button and the guest network of an access point that hostapd runs on this machine. */
export class HostapdNetworkJoin extends GuardedNetworkJoin {
  /** @param env the variables of `MQTT2GO_HOSTAPD_*`; read when it starts */
  constructor(env: Environment, options: GuardOptions = {}) {
    super(new HostapdDoor(env), options);
  }
}
