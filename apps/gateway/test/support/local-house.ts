import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { provisioning } from '@mqtt2go/messaging';
import { bundleProgram } from './gateway-process.js';
import { now } from './joining.js';
import { report, type Wire } from './wire.js';
import type { World } from './world.js';

/** An access point that stands beside the gateway and outlives its processes; see access-point-plugin.ts. */
export class AccessPoint {
  private constructor(
    private readonly program: string,
    private readonly folder: string,
  ) {}

  static async create(): Promise<AccessPoint> {
    const program = await bundleProgram('access-point-plugin', 'access-point-plugin.ts');
    return new AccessPoint(program, await mkdtemp(join(tmpdir(), 'mqtt2go-access-point-')));
  }

  /** The variables of a gateway that has it. */
  get env(): Record<string, string> {
    return {
      MQTT2GO_PROFILE: 'local-gateway',
      MQTT2GO_PLUGINS: `revision-1,${this.program}`,
      TEST_ACCESS_POINT: this.file,
    };
  }

  get file(): string {
    return join(this.folder, 'open.json');
  }

  /** What is open in it. */
  async open(): Promise<{ ssid: string; passphrase: string; method: string } | undefined> {
    return readFile(this.file, 'utf8').then(
      (text) => JSON.parse(text),
      () => undefined,
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.folder, dirname(this.program)].map((path) => rm(path, { recursive: true, force: true })));
  }
}

export const getCredentials = (value: unknown = 'GET_CREDENTIALS'): object => ({
  type: 'command',
  timestamp: now(),
  command_type: 'mqtt_credentials',
  value,
});

export const getWifiCredentials = (): object => ({
  type: 'command',
  timestamp: now(),
  command_type: 'wifi',
  value: 'GET_WIFI_CREDENTIALS',
});

/** Asks on the activation topic as a device does that has found a gateway; answers the report's value. */
export async function askForCredentials(wire: Wire, code: string, value?: unknown): Promise<unknown> {
  const topic = `${code}/activation`;
  if (!(await wire.subscribe(topic))) throw new Error('the activation topic was refused');
  wire.forget();
  await wire.publish(topic, getCredentials(value));
  return (await wire.hear(report('mqtt_credentials'))).json.value;
}

export async function setWifi(
  world: World,
  place: { homeId: string; gatewayId: string },
  ssid = 'Our home',
  password = 'correct horse',
): Promise<void> {
  const { homeId, gatewayId } = place;
  await world.operator.call(provisioning.setWifi, { homeId, gatewayId, ssid, password });
}
