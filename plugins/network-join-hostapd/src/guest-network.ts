import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DoorOpening } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { HostapdControl } from './hostapd-control.js';
import type { HostapdSettings } from './hostapd-settings.js';

/**
 * Waits for the deadline or for the end of its input, whichever comes first, and takes the network down. Its input is
 * a pipe from this process, which ends with it however it ends.
 */
const guardScript = 'timeout "$1" cat >/dev/null; exec "$2" -p "$3" -i "$4" raw REMOVE "$5" >/dev/null 2>&1';

/**
 * A second BSS that hostapd gets at run time and that is in no file it starts with: when hostapd is started anew it is
 * gone. (DISABLE and RELOAD would take the home's own network down with it.)
 */
export class GuestNetwork {
  #guard: ChildProcess | undefined;

  constructor(
    private readonly control: HostapdControl,
    private readonly settings: HostapdSettings,
    private readonly guests: string,
  ) {}

  async open(opening: DoorOpening): Promise<void> {
    const { MQTT2GO_HOSTAPD_RUN_DIR: folder, MQTT2GO_HOSTAPD_GLOBAL: global } = this.settings;
    const phy = this.settings.MQTT2GO_HOSTAPD_GUEST_PHY ?? (await this.#phy());
    const file = join(folder, `${this.guests}.conf`);
    this.#startGuard(opening.openMs);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await rm(file, { force: true });
      await writeFile(file, guestConfiguration(this.settings, this.guests, opening), { mode: 0o600, flag: 'wx' });
      await this.control.mustDo(global, 'ADD', `bss_config=${phy}:${file}`);
    } finally {
      await rm(file, { force: true });
    }
  }

  /** Resolves when hostapd says that there is no such network. */
  async shut(): Promise<void> {
    const { MQTT2GO_HOSTAPD_GLOBAL: global, MQTT2GO_HOSTAPD_RUN_DIR: folder } = this.settings;
    // FAIL is what it says when there is none, too; what counts is what it has afterwards.
    await this.control.command(global, 'REMOVE', this.guests);
    const interfaces = await this.control.command(global, 'INTERFACES');
    if (interfaces.split(/\s+/).includes(this.guests) || interfaces.startsWith('FAIL')) {
      throw new Mqtt2goError('unavailable', `hostapd does not take the guest network ${this.guests} down.`);
    }
    await rm(join(folder, `${this.guests}.conf`), { force: true });
    await this.#endGuard();
  }

  /** Kills it before it acts: at the end of its input it would take down the next activation's network. */
  async #endGuard(): Promise<void> {
    const guard = this.#guard;
    this.#guard = undefined;
    if (guard?.pid === undefined) return;
    const exited = guard.exitCode === null && guard.signalCode === null ? once(guard, 'exit') : undefined;
    guard.kill('SIGKILL');
    await exited;
    guard.stdin?.destroy();
  }

  async #phy(): Promise<string> {
    const status = await this.control.command(this.settings.MQTT2GO_HOSTAPD_INTERFACE, 'STATUS');
    const phy = /^phy=([A-Za-z0-9._-]+)$/m.exec(status)?.[1];
    if (phy !== undefined) return phy;
    throw new Mqtt2goError('unavailable', 'hostapd does not say which radio it uses; set MQTT2GO_HOSTAPD_GUEST_PHY.');
  }

  #startGuard(openMs: number): void {
    const {
      MQTT2GO_HOSTAPD_CLI: cli,
      MQTT2GO_HOSTAPD_CONTROL_DIR: folder,
      MQTT2GO_HOSTAPD_GLOBAL: global,
    } = this.settings;
    const seconds = String(Math.ceil(openMs / 1_000) + 1);
    const guard = spawn('/bin/sh', ['-c', guardScript, 'guard', seconds, cli, folder, global, this.guests], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    // Without it there is still the deadline, and the next start.
    guard.on('error', () => undefined);
    guard.stdin.on('error', () => undefined);
    guard.unref();
    this.#guard = guard;
  }
}

/** Names are hexadecimal and passwords printable ASCII: neither can begin a line of its own. */
function guestConfiguration(settings: HostapdSettings, guests: string, { ssid, passphrase }: DoorOpening): string {
  const bridge = settings.MQTT2GO_HOSTAPD_GUEST_BRIDGE;
  const lines = [
    `driver=${settings.MQTT2GO_HOSTAPD_GUEST_DRIVER}`,
    `interface=${guests}`,
    ...(bridge === undefined ? [] : [`bridge=${bridge}`]),
    `ctrl_interface=${settings.MQTT2GO_HOSTAPD_CONTROL_DIR}`,
    `ssid2=${Buffer.from(ssid).toString('hex')}`,
    'utf8_ssid=1',
    'wpa=2',
    'wpa_key_mgmt=WPA-PSK SAE',
    'rsn_pairwise=CCMP',
    'ieee80211w=1',
    'ap_isolate=1',
    'max_num_sta=8',
    `wpa_passphrase=${passphrase.reveal()}`,
  ];
  return `${lines.join('\n')}\n`;
}
