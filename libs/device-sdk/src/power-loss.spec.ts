import { createPublicKey } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DEVICE_VALIDITY_MS,
  isKeyOf,
  publicKeyHash,
  readCertificate,
  readCertificateRequest,
  readPrivateKey,
  splitPem,
} from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import { waitFor } from '@mqtt2go/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from './device.js';
import { Power, PowerLoss } from './stand-in/power.js';
import { shortTimes } from './stand-in/running-devices.js';
import type { SeenMessage, StandInBroker } from './stand-in/stand-in-broker.js';
import {
  csrOf,
  movedReport,
  refusal,
  renewedReport,
  StandInPlatform,
  topicsReport,
} from './stand-in/stand-in-platform.js';
import type { DeviceIdentity } from './store/device-identity.js';
import { FolderDeviceStore } from './store/folder-device-store.js';

/** How many moments of a life may fail; far more than there are. */
const mostMoments = 200;
const renewed = 'renewed';

/**
 * A platform that issues as the real one does: once for an onboarding, once for a certificate and key in a renewal, and
 * takes the one before away when the device has come with the next. Then the home moves to the other broker.
 */
class OneLife {
  readonly topic: string;
  readonly good = new Set<string>();
  readonly #issued = new Map<string, string>();
  readonly #renewedFrom = new Map<string, string>();
  #hasName = false;
  #power = new Power(0, () => undefined);

  private constructor(
    readonly platform: StandInPlatform,
    readonly other: StandInBroker,
    readonly identity: DeviceIdentity,
    readonly folder: string,
  ) {
    this.topic = `home/gw/kitchen/socket/${this.id}`;
  }

  static async begin(platform: StandInPlatform, other: StandInBroker, id: string, mode: KeyMode): Promise<OneLife> {
    const identity = await platform.mint(id, mode);
    const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-power-'));
    await writeFile(join(folder, 'device.json'), JSON.stringify(identity.file));
    await writeFile(join(folder, 'device.crt'), identity.certificate);
    await writeFile(join(folder, 'device.key'), identity.key);
    await writeFile(join(folder, 'ca.crt'), identity.ca);
    const life = new OneLife(platform, other, identity, folder);
    life.#listen();
    return life;
  }

  get id(): string {
    return this.identity.file.device_id;
  }

  /** How many certificates were made, for whatever number of requests. */
  get issued(): number {
    return this.#issued.size;
  }

  store(): FolderDeviceStore {
    return new FolderDeviceStore(this.folder);
  }

  /**
   * Runs the device until its life is lived: added, named, renewed and moved; with a new device after each power loss.
   * @param failures the moments at which the power fails, counted anew each time it is back
   * @returns the moments of the last run
   */
  async live(failures: readonly number[]): Promise<number> {
    for (const failsAt of failures) {
      if ((await this.#run(failsAt)) !== 'lost') return this.#power.moments;
    }
    await this.#run(0);
    return this.#power.moments;
  }

  async end(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  async #run(failsAt: number): Promise<'lost' | 'lived'> {
    const brokers = [this.platform.activation, this.platform.home, this.other];
    const lost = Promise.withResolvers<'lost'>();
    const power = new Power(failsAt, () => {
      for (const broker of brokers) broker.disconnectAll();
      lost.resolve('lost');
    });
    this.#power = power;
    const device = new Device(power.over(this.store()), { times: { ...shortTimes, askAgainMs: 20, renewAgainMs: 50 } });
    const lived = this.#lived(power);
    const ran = device.run().then(
      () => 'ended' as const,
      (error: unknown) => {
        if (error instanceof Error && (error instanceof PowerLoss || error.cause instanceof PowerLoss)) return 'ended';
        if (power.isOff) return 'ended';
        throw error;
      },
    );
    ran.catch(() => undefined);
    try {
      await Promise.race([lost.promise, lived]);
    } finally {
      await device.stop();
    }
    await ran;
    return power.isOff ? 'lost' : 'lived';
  }

  /** Resolves when the device is at the other broker with a renewed certificate, and the platform knows of it. */
  async #lived(power: Power): Promise<'lived'> {
    const isOver = async (): Promise<boolean> => {
      const { broker, next, toConfirm } = await this.store().state();
      const isThere = broker?.port === this.other.port && next === undefined && !toConfirm;
      return power.isOff || (isThere && this.good.size === 1 && this.issued === 2);
    };
    await waitFor(isOver, 'the life of the device', 20_000);
    return 'lived';
  }

  #listen(): void {
    const { activation, home } = this.platform;
    const passing = (broker: StandInBroker, answer: StandInBroker['answer']): void => {
      const inner = answer;
      broker.answer = async (message) => {
        try {
          this.#power.pass();
          const answered = await inner(message);
          if (answered !== undefined) this.#power.pass();
          return answered;
        } catch (error) {
          if (error instanceof PowerLoss) return undefined;
          throw error;
        }
      };
    };
    passing(activation, async ({ json }) => this.platform.brokerData(await this.#onboard(json['value'])));
    passing(home, (message) => this.#atHome(message, home));
    passing(this.other, (message) => this.#atHome(message, this.other));
    for (const broker of [home, this.other]) {
      broker.mayConnect = (_client, serialNumber) => this.good.has(serialNumber);
    }
  }

  async #onboard(value: unknown): Promise<string> {
    const mode = this.identity.file.key_mode;
    const key =
      mode === 'csr' ? (await readCertificateRequest(csrOf(value))).publicKey : createPublicKey(this.identity.key);
    return this.#issueOnce('onboarding', key, Date.now() - 0.76 * DEVICE_VALIDITY_MS);
  }

  async #atHome({ json }: SeenMessage, broker: StandInBroker): Promise<object | undefined> {
    if (json['command_type'] === 'topics') {
      if (!this.#hasName) {
        // The person takes a moment: the first question is not answered, and the second is.
        this.#hasName = true;
        return undefined;
      }
      if (broker === this.platform.home && this.issued === 2 && this.good.size === 1) {
        return movedReport('127.0.0.1', this.other.port);
      }
      return topicsReport([this.topic], Date.now());
    }
    if (json['command_type'] !== 'mqtt_credentials') return undefined;
    const answer = await this.#renew(json['value']);
    if (broker === this.platform.home && this.good.size === 1 && this.issued === 2) {
      queueMicrotask(() => void broker.publish(`${this.id}/topics`, movedReport('127.0.0.1', this.other.port)));
    }
    return answer;
  }

  async #renew(value: unknown): Promise<object> {
    if (typeof value !== 'object' || value === null || !('serial_number' in value)) throw new Error('no renewal');
    const serial = String(value.serial_number);
    if (!this.good.has(serial)) return refusal('mqtt_credentials', 'certificate_revoked');
    const own = [...this.#issued.values()].find((bundle) => readCertificate(bundle).serialNumber === serial) ?? '';
    const before = this.#renewedFrom.get(serial);
    if (before !== undefined) {
      this.good.delete(before);
      return renewedReport(own);
    }
    const key =
      'csr' in value ? (await readCertificateRequest(csrOf(value))).publicKey : readCertificate(own).publicKey;
    const next = this.#issueOnce(renewed, key, Date.now());
    this.#renewedFrom.set(readCertificate(next).serialNumber, serial);
    return renewedReport(next);
  }

  #issueOnce(what: string, key: ReturnType<typeof createPublicKey>, issuedMs: number): string {
    const name = `${what} ${publicKeyHash(key).toString('hex')}`;
    const issued = this.#issued.get(name) ?? this.platform.bundle(this.id, key, issuedMs);
    this.#issued.set(name, issued);
    if (!this.#renewedFrom.has(readCertificate(issued).serialNumber))
      this.good.add(readCertificate(issued).serialNumber);
    return issued;
  }
}

describe('a power loss', () => {
  let platform: StandInPlatform;
  let other: StandInBroker;
  let count = 0;

  beforeAll(async () => {
    platform = await StandInPlatform.start();
    other = await platform.startHome();
  });
  afterAll(async () => {
    await other.close();
    await platform.close();
  });

  async function live(mode: KeyMode, failures: readonly number[]): Promise<number> {
    const life = await OneLife.begin(platform, other, `lamp-${++count}`, mode);
    try {
      const moments = await life.live(failures);
      const store = life.store();
      const credentials = await store.credentials();
      const [certificate = ''] = splitPem(credentials?.certificate ?? '').map(({ pem }) => pem);
      expect(await store.state()).toMatchObject({ phase: 'active', topics: [life.topic], toConfirm: false });
      expect((await store.state()).broker?.port).toBe(other.port);
      expect([...life.good]).toEqual([readCertificate(certificate).serialNumber]);
      expect(isKeyOf(readPrivateKey(credentials?.key ?? ''), certificate)).toBe(true);
      // One onboarding and one renewal, however often they were asked for.
      expect(life.issued).toBe(2);
      return moments;
    } finally {
      await life.end();
    }
  }

  it.each(['existing-key', 'csr'] as const)(
    'at any moment of a device’s life leaves it where it can go on (%s)',
    async (mode) => {
      const moments = await live(mode, []);
      expect(moments).toBeGreaterThan(20);
      expect(moments).toBeLessThan(mostMoments);
      for (let moment = 1; moment <= moments; moment++) {
        await live(mode, [moment]).catch((error: unknown) => {
          throw new Error(`moment ${moment} of ${moments}`, { cause: error });
        });
      }
    },
    120_000,
  );

  it('that comes again and again does no harm either', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('existing-key' as const, 'csr' as const),
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 2, maxLength: 8 }),
        async (mode, failures) => {
          await live(mode, failures);
        },
      ),
      { numRuns: 25 },
    );
  }, 120_000);
});
