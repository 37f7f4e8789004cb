import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlatformFile } from '@mqtt2go/config';
import { Controller } from '@mqtt2go/controller-sdk';
import { Device, MemoryDeviceStore } from '@mqtt2go/device-sdk';
import { Bus, discovery, provisioning, tlsLink, topicGenerator } from '@mqtt2go/messaging';
import { Authority, generateKeys, writePrivateKey, writePublicKey } from '@mqtt2go/pki';

/** Somebody's home on a running gateway: one app, and devices that are added one after the other and stay. */
export class Household {
  readonly #topics: string[] = [];
  readonly #devices: Device[] = [];
  readonly #addingMs: number[] = [];

  private constructor(
    private readonly file: PlatformFile,
    private readonly bus: Bus,
    private readonly ca: string,
    private readonly manufacturer: Authority,
    private readonly controller: Controller,
  ) {}

  static async open(file: PlatformFile): Promise<Household> {
    const read = (...path: string[]): Promise<string> => readFile(join(file.tlsDir, ...path), 'utf8');
    const bus = new Bus(
      tlsLink({
        url: file.busUrl,
        ca: await read('services-ca.crt'),
        cert: await read('services', 'operator.crt'),
        key: await read('services', 'operator.key'),
        clientId: 'operator',
      }),
      undefined,
      'operator',
    );
    const nowMs = Date.now();
    const manufacturer = Authority.createRoot({
      commonName: 'Bench',
      keys: await generateKeys(),
      validityMs: 86_400_000,
      pathLength: 0,
      nowMs,
    });
    await bus.call(discovery.registerManufacturer, { name: 'Bench', certificate: manufacturer.certificate });
    const home = { homeId: `home-${randomBytes(3).toString('hex')}`, gatewayId: 'gw' };
    const user = await bus.call(topicGenerator.createController, home);
    const ca = await read('ca.crt');
    const controller = new Controller({ ...user, ...home, ca });
    await controller.connect();
    return new Household(file, bus, ca, manufacturer, controller);
  }

  /** Devices that were added. */
  get size(): number {
    return this.#devices.length;
  }

  /** How long each took from step 1 to step 13, in milliseconds. */
  get addingMs(): readonly number[] {
    return this.#addingMs;
  }

  /** One after the other; each lives on, connected. */
  async addDevices(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 1) this.#devices.push(await this.addDevice());
  }

  /** Each device in turn is told something and reports it, `rounds` times. */
  async switchAll(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      for (let from = 0; from < this.#topics.length; from += 10) {
        const some = this.#topics.slice(from, from + 10);
        await Promise.all(some.map((topic) => this.controller.send(topic, 'set', round % 2 === 0 ? 'on' : 'off')));
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.stop()));
    await this.controller.close();
    await this.bus.close();
  }

  private async addDevice(): Promise<Device> {
    const deviceId = `bench-${randomBytes(5).toString('hex')}`;
    const activationCode = randomBytes(9).toString('hex').toUpperCase();
    const keys = await generateKeys();
    const { publicKey } = keys;
    const request = { deviceId, deviceType: 'socket', publicKey, nowMs: Date.now() };
    const record = { device_id: deviceId, activation_code: activationCode, device_type: 'socket' };
    await this.bus.call(provisioning.importFactoryRecords, {
      records: [{ ...record, key_mode: 'existing-key', public_key: writePublicKey(publicKey) }],
    });
    const device = new Device(
      new MemoryDeviceStore({
        file: {
          ...record,
          discovery: { host: this.file.host, port: this.file.ports.activation },
          key_mode: 'existing-key',
        },
        certificate: this.manufacturer.issuePreloadedDevice(request).pem,
        key: writePrivateKey(keys.privateKey),
        ca: this.ca,
      }),
      { times: { backOff: { minMs: 100, maxMs: 5_000 } } },
    );
    const active = new Promise<readonly string[]>((resolve, reject) => {
      device.once('active', resolve);
      device.once('problem', ({ error }) => reject(error));
    });
    active.catch(() => undefined);
    const startedAt = performance.now();
    await this.controller.addDevice({
      deviceId,
      activationCode,
      naming: { name: 'Lamp', groupIds: ['living'] },
      onProgress: (progress) => {
        if (progress.kind === 'state' && progress.state === 'announced') device.run().catch(() => undefined);
      },
    });
    this.#topics.push(...(await active));
    this.#addingMs.push(performance.now() - startedAt);
    return device;
  }
}
