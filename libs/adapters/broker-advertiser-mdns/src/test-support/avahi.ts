import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HouseMachine } from '@mqtt2go/testing';
import { waitFor } from '@mqtt2go/testing';

/** A machine with avahi: an implementation of multicast DNS that shares no line with ours. */
export class AvahiMachine {
  static async start(machine: HouseMachine, hostName: string): Promise<AvahiMachine> {
    const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-avahi-'));
    const bus = join(folder, 'bus');
    await mkdir(join(folder, 'run'));
    await writeFile(join(folder, 'dbus.conf'), dbusConfiguration(bus));
    await writeFile(join(folder, 'avahi.conf'), avahiConfiguration(hostName));
    const avahi = new AvahiMachine(machine, folder, bus);
    const dbus = machine.spawn('dbus-daemon', [
      ...['--config-file', join(folder, 'dbus.conf'), '--nofork', '--nopidfile', '--print-address'],
    ]);
    if (dbus.stdout !== null) await once(dbus.stdout, 'data');
    // avahi has one fixed place for its files; the machine has its own mounts.
    const start = `mkdir -p /run/avahi-daemon && mount --bind ${join(folder, 'run')} /run/avahi-daemon && exec "$@"`;
    const daemon = ['avahi-daemon', '--no-drop-root', '--no-chroot', '--no-rlimits', '-f', join(folder, 'avahi.conf')];
    avahi.#daemon = machine.spawn('sh', ['-c', start, 'sh', ...daemon], { env: avahi.#env });
    await waitFor(() => avahi.run('avahi-resolve', '-4', '-n', `${hostName}.local`), 'avahi', 20_000);
    return avahi;
  }

  #daemon: ReturnType<HouseMachine['spawn']> | undefined;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(
    readonly machine: HouseMachine,
    private readonly folder: string,
    bus: string,
  ) {
    this.#env = { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${bus}`, LC_ALL: 'C.UTF-8' };
  }

  /** @returns what one of avahi's tools wrote, undefined when it says that it failed */
  async run(command: string, ...args: string[]): Promise<string | undefined> {
    const child = this.spawn(command, ...args);
    const parts: string[] = [];
    child.stdout?.on('data', (part) => parts.push(String(part)));
    let isBad = false;
    child.stderr?.on('data', () => {
      isBad = true;
    });
    await once(child, 'close');
    return child.exitCode === 0 && !isBad ? parts.join('') : undefined;
  }

  /** One that goes on. */
  spawn(command: string, ...args: string[]): ReturnType<HouseMachine['spawn']> {
    return this.machine.spawn('timeout', ['20', command, ...args], { env: this.#env });
  }

  /** With a goodbye. */
  async end(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    if (daemon !== undefined) {
      daemon.kill('SIGTERM');
      await once(daemon, 'close');
    }
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

function dbusConfiguration(bus: string): string {
  return `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=${bus}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
`;
}

function avahiConfiguration(hostName: string): string {
  return `[server]
host-name=${hostName}
use-ipv4=yes
use-ipv6=no
allow-interfaces=eth0
enable-dbus=yes
[publish]
publish-workstation=no
publish-hinfo=no
`;
}
