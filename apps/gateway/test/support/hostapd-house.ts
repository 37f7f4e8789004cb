import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostapdConf, type HouseMachine, HouseNetwork, waitFor } from '@mqtt2go/testing';

/**
 * The home's network. There is no radio: it is on a cable, over which WPS speaks as it does over the air. IEEE 802.1X, without
 * which hostapd listens to nobody on a cable, is of no matter to what is tested.
 */
const accessPoint = (folder: string): string =>
  `${hostapdConf({ driver: 'wired', interface: 'air0', controlFolder: `${folder}/ctrl` })}ieee8021x=1
`;

/** A device whose button was pressed. */
const enrollee = (folder: string): string => `ctrl_interface=${folder}/station
ap_scan=0
update_config=1
network={
  key_mgmt=IEEE8021X
  eap=WSC
  identity="WFA-SimpleConfig-Enrollee-1-0"
  phase1="pbc=1"
  eapol_flags=0
}
`;

/** A hostapd on a machine of a house, and cables to the devices near it. */
export class HostapdHouse {
  private stations = 0;

  private constructor(
    private readonly network: HouseNetwork,
    private readonly machine: HouseMachine,
    private readonly device: HouseMachine,
    private readonly folder: string,
  ) {}

  static async open(): Promise<HostapdHouse> {
    const network = await HouseNetwork.open();
    const [machine, device] = [await network.machine(), await network.machine()];
    const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-hostapd-'));
    const house = new HostapdHouse(network, machine, device, folder);
    await mkdir(join(folder, 'run'));
    await writeFile(join(folder, 'hostapd.conf'), accessPoint(folder));
    await machine.run('ip', ...'link add air0 type veth peer name air0 netns'.split(' '), device.namespace);
    for (const end of [machine, device]) await end.run('ip', 'link', 'set', 'air0', 'up');
    // It tells nobody the password of a network without WPS, other than in its own log, which has each line at once.
    const say = ['-ddK', '-f', `${folder}/hostapd.log`];
    const files = ['-g', `${folder}/ctrl/global`, `${folder}/hostapd.conf`];
    machine.spawn('hostapd', [...say, ...files], { stdio: 'ignore' });
    await waitFor(async () => (await house.said('hostapd.log')).includes('air0: AP-ENABLED'), 'the access point');
    return house;
  }

  /** The variables of a gateway that has it. */
  get env(): Record<string, string> {
    return {
      MQTT2GO_PROFILE: 'local-gateway',
      MQTT2GO_PLUGINS: 'revision-1,network-join-hostapd',
      MQTT2GO_HOSTAPD_INTERFACE: 'air0',
      MQTT2GO_HOSTAPD_CONTROL_DIR: join(this.folder, 'ctrl'),
      MQTT2GO_HOSTAPD_GUEST_INTERFACE: 'guest0',
      MQTT2GO_HOSTAPD_GUEST_DRIVER: 'none',
      MQTT2GO_HOSTAPD_GUEST_PHY: 'guests',
      MQTT2GO_HOSTAPD_RUN_DIR: join(this.folder, 'run'),
    };
  }

  /** What hostapd answers to a command. */
  ask(socket: string, ...words: readonly string[]): Promise<string> {
    return this.machine.run('hostapd_cli', '-p', join(this.folder, 'ctrl'), '-i', socket, 'raw', ...words);
  }

  /** Whether there is a guest network, in hostapd's words. */
  async hasGuests(): Promise<boolean> {
    return (await this.ask('global', 'INTERFACES')).split(/\s+/).includes('guest0');
  }

  /** The password that hostapd made the key of the newest network of. */
  async newestPassphrase(): Promise<string | undefined> {
    const lines = await this.said('hostapd.log');
    const index = lines.findLastIndex((line) => line.startsWith('PSK (ASCII passphrase)'));
    // A line of 16 bytes: in hexadecimal, then as text.
    const dump = index === -1 ? '' : (lines[index + 1] ?? '').trim().slice(0, 3 * 16);
    return dump === '' ? undefined : Buffer.from(dump.replaceAll(' ', ''), 'hex').toString();
  }

  /** The state of the push button: `Active` while it lets one in. */
  async pushButton(): Promise<{ state: string; last: string }> {
    const status = await this.ask('air0', 'WPS_GET_STATUS');
    const of = (name: string): string => new RegExp(`^${name}: (.+)$`, 'm').exec(status)?.[1] ?? '';
    return { state: of('PBC Status'), last: of('Last WPS result') };
  }

  /** Files of guest networks that are there now: they have the password. */
  files(): Promise<string[]> {
    return readdir(join(this.folder, 'run'));
  }

  /** Presses the button of a device that is near. Resolves with the network that it was told of, if it was. */
  async press(): Promise<{ ssid: string; password: string } | undefined> {
    this.stations += 1;
    const file = join(this.folder, `station-${this.stations}.conf`);
    await writeFile(file, enrollee(this.folder));
    // hostapd lets one whose EAP has failed wait a minute.
    await this.device.run('ip', 'link', 'set', 'air0', 'address', `02:00:00:00:00:${this.stations + 10}`);
    const log = `station-${this.stations}.log`;
    const args = ['-D', 'wired', '-i', 'air0', '-c', file, '-f', join(this.folder, log)];
    const station = this.device.spawn('wpa_supplicant', args, { stdio: 'ignore' });
    const closed = once(station, 'close');
    // It says that EAP has failed whether it was told or not: there is nothing to be authenticated for.
    const isOver = async () => (await this.said(log)).some((line) => line.includes('CTRL-EVENT-EAP-FAILURE'));
    await waitFor(isOver, 'the end of WPS', 60_000);
    station.kill('SIGTERM');
    await closed;
    const [, ssid, password] = /ssid="(.*)"\n\s*psk="(.*)"/.exec(await readFile(file, 'utf8')) ?? [];
    return ssid === undefined || password === undefined ? undefined : { ssid, password };
  }

  private async said(log: string): Promise<string[]> {
    return (await readFile(join(this.folder, log), 'utf8').catch(() => '')).split(/ *\n/);
  }

  async close(): Promise<void> {
    await this.network.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
