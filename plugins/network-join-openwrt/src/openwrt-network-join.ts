import {
  type DoorOpening,
  GuardedNetworkJoin,
  type GuardOptions,
  type NetworkDoor,
  type NetworkDoorSignal,
  type NetworkJoinMethod,
} from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { type OpenwrtSettings, readOpenwrtSettings } from './openwrt-settings.js';
import { Ubus, ubusStatus } from './ubus.js';

type Environment = Readonly<Record<string, string | undefined>>;

const guestSection = { config: 'wireless', section: 'mqtt2go_guest' } as const;

/** One router. */
class OpenwrtDoor implements NetworkDoor {
  methods: readonly NetworkJoinMethod[] = [];
  #parts: { ubus: Ubus; settings: OpenwrtSettings } | undefined;
  #signal: (signal: NetworkDoorSignal) => void = () => undefined;
  #watching: NodeJS.Timeout | undefined;

  constructor(
    private readonly env: Environment,
    private readonly watchMs: number,
  ) {}

  async prepare(signal: (signal: NetworkDoorSignal) => void): Promise<void> {
    const settings = await readOpenwrtSettings(this.env);
    this.methods = [
      ...(settings.MQTT2GO_OPENWRT_WPS_INTERFACE === undefined ? [] : ['wps' as const]),
      ...(settings.MQTT2GO_OPENWRT_GUEST_NETWORK === undefined ? [] : ['guest' as const]),
    ];
    this.#signal = signal;
    this.#parts = { ubus: new Ubus(settings), settings };
  }

  async open({ method, openMs, ssid, passphrase }: DoorOpening): Promise<string> {
    const { ubus, settings } = this.#prepared();
    if (method === 'wps') {
      await ubus.mustCall(`hostapd.${settings.MQTT2GO_OPENWRT_WPS_INTERFACE}`, 'wps_start', {});
      this.#watchWps();
      return 'Press the WPS button on the device, within two minutes.';
    }
    const values = {
      device: settings.MQTT2GO_OPENWRT_RADIO,
      mode: 'ap',
      network: settings.MQTT2GO_OPENWRT_GUEST_NETWORK,
      ssid,
      encryption: 'sae-mixed',
      key: passphrase.reveal(),
      isolate: '1',
    };
    const { config, section: name } = guestSection;
    await ubus.mustCall('uci', 'add', { config, type: 'wifi-iface', name, values });
    // Never confirmed: at the deadline the router takes it back by itself, be there somebody to ask for it or not.
    await ubus.mustCall('uci', 'apply', { rollback: true, timeout: Math.ceil(openMs / 1_000) + 1 });
    return `Connect the device to the Wi-Fi ${ssid}, which is there for this device only, with the password shown.`;
  }

  async shut(): Promise<void> {
    clearTimeout(this.#watching);
    const { ubus, settings } = this.#prepared();
    const wps = settings.MQTT2GO_OPENWRT_WPS_INTERFACE;
    if (wps !== undefined) await ubus.mustCall(`hostapd.${wps}`, 'wps_cancel', {});
    if (settings.MQTT2GO_OPENWRT_GUEST_NETWORK !== undefined) await this.#removeGuests(ubus);
  }

  release(): void {
    clearTimeout(this.#watching);
  }

  async #removeGuests(ubus: Ubus): Promise<void> {
    const { config } = guestSection;
    const isThere = async (): Promise<boolean> => {
      const { status } = await ubus.call('uci', 'get', guestSection);
      if (status !== ubusStatus.ok && status !== ubusStatus.notFound) {
        throw new Mqtt2goError('unavailable', `The router does not tell its Wi-Fi settings (status ${status}).`);
      }
      return status === ubusStatus.ok;
    };
    if (!(await isThere())) return;
    // What was added and never applied, and what a rollback puts back among the session's changes.
    await ubus.call('uci', 'revert', { config });
    if (!(await isThere())) return;
    // Without a change to take back, or in another session than the one that made it, the status says so.
    await ubus.call('uci', 'rollback', {});
    await ubus.call('uci', 'revert', { config });
    if (!(await isThere())) return;
    // It was kept over a restart of the router's rpcd, which forgets what it has to take back.
    await ubus.mustCall('uci', 'delete', guestSection);
    await ubus.mustCall('uci', 'apply', { rollback: false });
    if (await isThere()) throw new Mqtt2goError('unavailable', 'The router does not take the guest network down.');
  }

  /** Events of hostapd do not come over HTTP; its state has to be asked for. */
  #watchWps(): void {
    const { ubus, settings } = this.#prepared();
    clearTimeout(this.#watching);
    const timer = setTimeout(() => {
      const status = ubus.call(`hostapd.${settings.MQTT2GO_OPENWRT_WPS_INTERFACE}`, 'wps_status', {});
      void status
        .then(({ data }) => {
          if (this.#watching !== timer) return;
          const signal = signalOf(data);
          if (signal) this.#signal(signal);
          else this.#watchWps();
        })
        .catch(() => {
          if (this.#watching === timer) this.#watchWps();
        });
    }, this.watchMs);
    this.#watching = timer;
  }

  #prepared() {
    if (this.#parts) return this.#parts;
    throw new Mqtt2goError('unavailable', 'The router is not looked after yet.');
  }
}

/** What the answer of `wps_status` says, as long as it is not that the window is open. */
export function signalOf(data: Readonly<Record<string, unknown>>): NetworkDoorSignal | undefined {
  const { pbc_status: window, last_wps_result: result, peer_address: peer } = data;
  if (window === 'Active') return undefined;
  if (window === 'Overlap') return { kind: 'wps-overlap' };
  if (window === 'Timeout') return { kind: 'wps-timed-out' };
  if (result !== 'Success') return undefined;
  const mac = typeof peer === 'string' && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(peer) ? peer.toLowerCase() : undefined;
  return mac === undefined ? { kind: 'wps-succeeded' } : { kind: 'wps-succeeded', mac };
}

/** The push button and the guest network of an OpenWrt router, over its ubus. */
export class OpenwrtNetworkJoin extends GuardedNetworkJoin {
  /**
   * @param env the variables of `MQTT2GO_OPENWRT_*`; read when it starts
   * @param options `watchMs`: how often the push button's state is asked for; 1 s
   */
  constructor(env: Environment, options: GuardOptions & { readonly watchMs?: number } = {}) {
    super(new OpenwrtDoor(env, options.watchMs ?? 1_000), options);
  }
}
