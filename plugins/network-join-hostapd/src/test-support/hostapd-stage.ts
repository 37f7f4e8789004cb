import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { hostapdConf, injectedImages, type RunningContainer, startContainer } from '@mqtt2go/testing';

const run = promisify(execFile);
const image = 'mqtt2go/offline-hostapd';

/** Home network on `lo`, without a radio: the driver does nothing and all else of hostapd is there. */
const configuration = (folder: string): string =>
  hostapdConf({ driver: 'none', interface: 'lo', controlFolder: `${folder}/ctrl` });

/** Builds the image; what is current is taken from the engine's cache. */
export async function buildHostapdImage(): Promise<void> {
  const folder = fileURLToPath(new URL('../../../../docker/offline/', import.meta.url));
  const base = injectedImages().bases.mosquitto.startsWith('mqtt2go/offline-')
    ? 'mqtt2go/offline-base'
    : 'debian:trixie-slim';
  const file = join(folder, 'hostapd.Dockerfile');
  await run('docker', ['build', '--quiet', '--build-arg', `BASE=${base}`, '--tag', image, '--file', file, folder]);
}

/** A hostapd in a container. Its client is run inside, by a file that this machine can start. */
export class HostapdStage {
  private constructor(
    private readonly folder: string,
    readonly container: RunningContainer,
  ) {}

  static async start(): Promise<HostapdStage> {
    const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-hostapd-'));
    await mkdir(join(folder, 'run'));
    await writeFile(join(folder, 'hostapd.conf'), configuration(folder));
    const container = await startContainer({
      image,
      name: 'hostapd',
      user: `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`,
      mounts: [{ source: folder, target: folder }],
      command: ['hostapd', '-g', `${folder}/ctrl/global`, `${folder}/hostapd.conf`],
      ready: /AP-ENABLED/,
    });
    const { stdout } = await run('sh', ['-c', 'command -v docker']);
    const client = join(folder, 'hostapd_cli');
    await writeFile(client, `#!/bin/sh\nexec ${stdout.trim()} exec -i ${container.id} /usr/sbin/hostapd_cli "$@"\n`);
    await chmod(client, 0o755);
    return new HostapdStage(folder, container);
  }

  get env(): Record<string, string> {
    return {
      MQTT2GO_HOSTAPD_INTERFACE: 'lo',
      MQTT2GO_HOSTAPD_CONTROL_DIR: join(this.folder, 'ctrl'),
      MQTT2GO_HOSTAPD_GUEST_INTERFACE: 'guest0',
      MQTT2GO_HOSTAPD_GUEST_DRIVER: 'none',
      MQTT2GO_HOSTAPD_GUEST_PHY: 'guests',
      MQTT2GO_HOSTAPD_RUN_DIR: join(this.folder, 'run'),
      MQTT2GO_HOSTAPD_CLI: join(this.folder, 'hostapd_cli'),
    };
  }

  /** A path that goes with the stage. */
  file(name: string): string {
    return join(this.folder, name);
  }

  /** What hostapd answers to a command. */
  async ask(socket: string, ...words: readonly string[]): Promise<string> {
    const folder = join(this.folder, 'ctrl');
    const { output } = await this.container.exec(['hostapd_cli', '-p', folder, '-i', socket, 'raw', ...words]);
    return output;
  }

  /** What is open, by hostapd's own words. */
  async openIn(): Promise<string[]> {
    const interfaces = (await this.ask('global', 'INTERFACES')).split(/\s+/);
    const wps = await this.ask('lo', 'WPS_GET_STATUS');
    return [
      ...(wps.includes('PBC Status: Active') ? ['wps'] : []),
      ...(interfaces.includes('guest0') ? ['guest'] : []),
    ];
  }

  /** Files of guest networks that are there now: they have the password. */
  files(): Promise<string[]> {
    return readdir(join(this.folder, 'run'));
  }

  async close(): Promise<void> {
    await this.container.remove();
    await rm(this.folder, { recursive: true, force: true });
  }
}
