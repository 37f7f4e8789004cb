import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEncryptionKey } from '@mqtt2go/pki';
import { freePort, injectedImages, type Mount, startContainer, type TestNetwork } from '@mqtt2go/testing';

export type BrokerName = 'bus' | 'activation' | `home-${number}`;

/** Where a broker's listeners are inside its container. */
export const insidePorts = {
  devices: 8883,
  controllersWss: 8884,
  activation: 8885,
  controllers: 8889,
  door: 8890,
} as const;
const servicesPorts = { bus: 8886, home: 8887, activation: 8888 } as const;

export interface HomePorts {
  readonly devices: number;
  readonly controllers: number;
  readonly controllersWss: number;
}

/** The files of a deployment, in a folder of this machine that the containers mount their own parts of. */
export class Deployment {
  private constructor(
    readonly root: string,
    /** Who the containers run as. */
    readonly user: string,
    readonly activationPort: number,
    /** Where gateways come in. */
    readonly doorPort: number,
    readonly homes: ReadonlyMap<BrokerName, HomePorts>,
    private readonly gateways: boolean,
  ) {}

  /** @param gateways whether the home brokers are for homes with gateways of their own */
  static async create(homeBrokers: number, gateways = false): Promise<Deployment> {
    const root = await mkdtemp(join(tmpdir(), 'mqtt2go-system-'));
    const homes = new Map<BrokerName, HomePorts>();
    for (let index = 0; index < homeBrokers; index += 1) {
      homes.set(`home-${index}`, {
        devices: await freePort(),
        controllers: await freePort(),
        controllersWss: await freePort(),
      });
    }
    const uid = process.getuid?.() ?? 0;
    const owner = uid === 0 ? { uid: 1000, gid: 1000 } : { uid, gid: process.getgid?.() ?? uid };
    const deployment = new Deployment(
      root,
      `${owner.uid}:${owner.gid}`,
      await freePort(),
      await freePort(),
      homes,
      gateways,
    );
    await chmod(root, 0o755);
    await writeFile(deployment.path('encryption.key'), createEncryptionKey(), { mode: 0o600 });
    await writeFile(deployment.path('brokers.json'), JSON.stringify(deployment.brokersFile(), undefined, 2));
    for (const folder of ['deployment', ...deployment.brokers.map((name) => `data/${name}`)])
      await mkdir(deployment.path(folder), { recursive: true });
    if (uid === 0) {
      for (const name of ['encryption.key', 'deployment', ...deployment.brokers.map((broker) => `data/${broker}`)])
        await chown(deployment.path(name), owner.uid, owner.gid);
    }
    return deployment;
  }

  get brokers(): BrokerName[] {
    return ['bus', 'activation', ...this.homes.keys()];
  }

  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  /** A file that `initialise` wrote. */
  read(...parts: string[]): Promise<string> {
    return readFile(this.path('deployment', ...parts), 'utf8');
  }

  /** What the brokers see of it, at Mosquitto's own place. */
  brokerMounts(name: BrokerName): Mount[] {
    return [
      { source: this.path('deployment', 'brokers', name), target: '/mosquitto/config', readOnly: true },
      { source: this.path('data', name), target: '/mosquitto/data' },
    ];
  }

  serviceMounts(service: string): Mount[] {
    const access =
      service === 'topic-generator' ? [...this.homes.keys()] : service === 'discovery' ? ['activation'] : [];
    return [
      { source: this.path('deployment', 'services', service), target: '/deployment', readOnly: true },
      ...this.sharedMounts(),
      ...access.map((name) => ({
        source: this.path('deployment', 'brokers', name, 'access'),
        target: `/access/${name}`,
      })),
    ];
  }

  env(databaseUrl: string): Record<string, string> {
    return {
      DATABASE_URL: databaseUrl,
      MQTT2GO_KEY_FILE: '/secrets/encryption.key',
      MQTT2GO_BROKERS: '/config/brokers.json',
      MQTT2GO_PUBLIC_HOST: 'localhost',
      MQTT2GO_FEDERATION_URL: `https://localhost:${this.doorPort}`,
    };
  }

  /**
   * Runs the program `initialise`, which makes or renews what is not there or not good.
   * @param clockOffsetMs how far its clock is from the right time
   */
  async initialise(databaseUrl: string, network: TestNetwork, clockOffsetMs = 0): Promise<string> {
    const image = injectedImages().programs.initialise;
    if (image === undefined) throw new Error("there is no image of 'initialise'");
    const shifted = `const at = Date.now.bind(Date); Date.now = () => at() + (${clockOffsetMs});`;
    const container = await startContainer({
      image,
      name: 'initialise',
      user: this.user,
      readOnly: true,
      tmpfs: { '/tmp': '' },
      networks: [network],
      env: { ...this.env(databaseUrl), MQTT2GO_DEPLOYMENT_DIR: '/deployment' },
      mounts: [{ source: this.path('deployment'), target: '/deployment' }, ...this.sharedMounts()],
      ...(clockOffsetMs === 0
        ? {}
        : {
            entrypoint: ['node', '--import', `data:text/javascript,${encodeURIComponent(shifted)}`, '/app/program.mjs'],
          }),
    });
    try {
      const status = await container.ended();
      const log = await container.logs();
      if (status !== 0) throw new Error(`initialise ended with ${status}:\n${log.slice(-4_000)}`);
      return log;
    } finally {
      await container.remove();
    }
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  private sharedMounts(): Mount[] {
    return [
      { source: this.path('encryption.key'), target: '/secrets/encryption.key', readOnly: true },
      { source: this.path('brokers.json'), target: '/config/brokers.json', readOnly: true },
    ];
  }

  private brokersFile(): object {
    return {
      bus: { kind: 'mosquitto', url: `mqtts://bus:${servicesPorts.bus}` },
      activation: {
        kind: 'mosquitto',
        url: `mqtts://activation:${servicesPorts.activation}`,
        host: 'localhost',
        port: this.activationPort,
        accessDir: '/access/activation',
      },
      home: [...this.homes].map(([name, ports]) => ({
        name,
        kind: 'mosquitto',
        url: `mqtts://${name}:${servicesPorts.home}`,
        host: 'localhost',
        port: ports.devices,
        controllerUrl: `mqtts://localhost:${ports.controllers}`,
        controllerWebSocketUrl: `wss://localhost:${ports.controllersWss}`,
        accessDir: `/access/${name}`,
        ...(this.gateways && { gateways: true }),
      })),
    };
  }
}
