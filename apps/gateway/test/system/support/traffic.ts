import { setTimeout as delay } from 'node:timers/promises';
import { Controller } from '@mqtt2go/controller-sdk';
import { Device, type DeviceOptions, type MemoryDeviceStore } from '@mqtt2go/device-sdk';
import { type KeyMode, Mqtt2goError } from '@mqtt2go/protocol';
import { waitFor, within } from '@mqtt2go/testing';
import { storeOf } from '../../support/device-store.js';
import type { AppCredentials, MintedDevice } from '../../support/world.js';
import type { SystemStack } from './system-stack.js';

/** As impatient as a test; the standard's devices repeat in the same way, only later. */
const deviceTimes = {
  backOff: { minMs: 100, maxMs: 1_000 },
  connectTimeoutMs: 3_000,
  answerTimeoutMs: 2_000,
  askAgainMs: 2_000,
} as const;

/** No fault of these tests lasts so long: who is not done by then hangs. */
const hangsAfterMs = 90_000;

/** Refusals after which a person tries again; any other fails the test. */
const passing: ReadonlySet<string> = new Set(['unavailable', 'timeout', 'another_device_is_being_added']);

/** A device that was added, and lives on until it is stopped. */
export class LivingDevice {
  readonly device: Device;
  readonly store: MemoryDeviceStore;
  topics: readonly string[] = [];
  private life: Promise<void> | undefined;
  private end: Error | undefined;

  constructor(
    readonly minted: MintedDevice,
    readonly app: AppCredentials,
    keyMode: KeyMode,
    stack: SystemStack,
    ca: string,
    options: Pick<DeviceOptions, 'now'> = {},
  ) {
    this.store = storeOf(minted, ca, stack.deployment.activationPort, keyMode);
    this.device = new Device(this.store, { times: deviceTimes, ...options });
    this.device.on('active', (topics) => {
      this.topics = topics;
    });
    this.device.on('problem', () => undefined);
  }

  get deviceId(): string {
    return this.minted.deviceId;
  }

  start(): void {
    this.end = undefined;
    this.life = this.device.run().catch((error: unknown) => {
      this.end = asError(error);
    });
  }

  /** Its topics, when it has them. @throws what ended its life before */
  async active(timeoutMs = hangsAfterMs): Promise<readonly string[]> {
    return waitFor(
      async () => {
        if (this.end !== undefined) throw this.end;
        if (this.topics.length > 0) return this.topics;
        await delay(20);
        return undefined;
      },
      `${this.deviceId} is active`,
      timeoutMs,
    );
  }

  /** What its life ended with. */
  async ended(): Promise<Error | undefined> {
    await within(this.life ?? Promise.resolve(), `the end of ${this.deviceId}`, hangsAfterMs);
    return this.end;
  }

  async stop(): Promise<void> {
    await this.device.stop();
    await this.life;
  }
}

export async function openController(stack: SystemStack, app: AppCredentials): Promise<Controller> {
  const { url, username, password, homeId, gatewayId } = app;
  const ca = await stack.ca();
  const giveUpMs = hangsAfterMs;
  const controller = new Controller({ url, username, password, ca, homeId, gatewayId, repeatMs: 2_000, giveUpMs });
  await controller.connect();
  return controller;
}

export interface Added {
  readonly device: LivingDevice;
  /** When the person asked and when all was done; milliseconds, of this process's clock. */
  readonly startedAt: number;
  readonly doneAt: number;
  /** Codes of refusals on the way, after each of which the person tried again. */
  readonly refusals: readonly string[];
}

/** One home, to which a person adds one device after the other. */
class Lane {
  readonly added: Added[] = [];
  current: { deviceId: string; startedAt: number } | undefined;
  private turn = 0;

  constructor(
    private readonly stack: SystemStack,
    readonly app: AppCredentials,
    readonly controller: Controller,
    private readonly ca: string,
    private readonly keyModes: readonly KeyMode[],
  ) {}

  /** @param nextDevice made before the trouble: the factory is not what is tried here */
  async addOne(nextDevice: (keyMode: KeyMode) => Promise<MintedDevice>): Promise<void> {
    const keyMode = this.keyModes[this.turn % this.keyModes.length] ?? 'existing-key';
    this.turn += 1;
    const minted = await nextDevice(keyMode);
    const device = new LivingDevice(minted, this.app, keyMode, this.stack, this.ca);
    const startedAt = performance.now();
    this.current = { deviceId: minted.deviceId, startedAt };
    device.start();
    const refusals: string[] = [];
    try {
      await this.askUntilDone(minted, refusals);
      await device.active();
    } catch (error) {
      await device.stop();
      throw new Error(`${minted.deviceId} (${keyMode}) was not added; refusals before: [${refusals.join(', ')}]`, {
        cause: error,
      });
    }
    this.added.push({ device, startedAt, doneAt: performance.now(), refusals });
    this.current = undefined;
  }

  /** A refusal with a code is an answer; a person tries again then. */
  private async askUntilDone({ deviceId, code }: MintedDevice, refusals: string[]): Promise<void> {
    const giveUpAt = performance.now() + hangsAfterMs;
    for (;;) {
      try {
        const naming = { name: 'Lamp', groupIds: ['living'] };
        await this.controller.addDevice({ deviceId, activationCode: code, naming });
        return;
      } catch (error) {
        if (!(error instanceof Mqtt2goError && passing.has(error.code)) || performance.now() > giveUpAt) throw error;
        refusals.push(error.code);
        await delay(500);
      }
    }
  }
}

/** Homes to which devices are being added all the time, one after the other in each. */
export class Traffic {
  private readonly stock: { keyMode: KeyMode; device: Promise<MintedDevice> }[] = [];
  private running: Promise<unknown> | undefined;
  private stopping = false;
  private failure: Error | undefined;

  private constructor(
    private readonly stack: SystemStack,
    readonly lanes: readonly Lane[],
  ) {}

  static async open(stack: SystemStack, homes: number): Promise<Traffic> {
    const ca = await stack.ca();
    const lanes: Lane[] = [];
    const orders: KeyMode[][] = [
      ['existing-key', 'csr', 'server-key'],
      ['csr', 'server-key', 'existing-key'],
      ['server-key', 'existing-key', 'csr'],
    ];
    for (let index = 0; index < homes; index += 1) {
      const app = await stack.app();
      const controller = await openController(stack, app);
      lanes.push(new Lane(stack, app, controller, ca, orders[index % orders.length] ?? []));
    }
    return new Traffic(stack, lanes);
  }

  get added(): Added[] {
    return this.lanes.flatMap((lane) => lane.added);
  }

  /** Makes that many devices of each key mode beforehand. */
  async stockUp(each: number): Promise<void> {
    const modes: KeyMode[] = ['existing-key', 'csr', 'server-key'];
    for (const keyMode of modes) {
      const missing = each - this.stock.filter((item) => item.keyMode === keyMode).length;
      for (let count = 0; count < missing; count += 1)
        this.stock.push({ keyMode, device: this.stack.mint({ keyMode }) });
    }
    await Promise.all(this.stock.map(({ device }) => device));
  }

  /** Begins to add devices, with a short rest after each. */
  start(): void {
    this.stopping = false;
    this.failure = undefined;
    this.running = Promise.all(
      this.lanes.map(async (lane) => {
        while (!this.stopping && this.failure === undefined) {
          await lane.addOne((keyMode) => this.take(keyMode));
          await delay(400);
        }
      }),
    ).catch((error: unknown) => {
      this.failure = asError(error);
    });
  }

  private async take(keyMode: KeyMode): Promise<MintedDevice> {
    const at = this.stock.findIndex((item) => item.keyMode === keyMode);
    const [item] = at < 0 ? [] : this.stock.splice(at, 1);
    return item === undefined ? this.stack.mint({ keyMode }) : item.device;
  }

  /** Resolves when `reached` holds of what has been added. @throws what made a device fail */
  async until(reached: (added: readonly Added[]) => boolean, what: string, timeoutMs = hangsAfterMs): Promise<void> {
    await waitFor(
      async () => {
        if (this.failure !== undefined) throw this.failure;
        if (reached(this.added)) return true;
        await delay(20);
        return false;
      },
      what,
      timeoutMs,
    );
  }

  /** Lets each home finish the device that it is at. @throws what made a device fail */
  async stop(): Promise<void> {
    this.stopping = true;
    await within(this.running ?? Promise.resolve(), 'the last devices', hangsAfterMs + 10_000);
    if (this.failure !== undefined) throw this.failure;
  }

  /** Ends the lives of the devices so far, except for the last ones of each home. */
  async retire(keep = 0): Promise<void> {
    for (const lane of this.lanes) {
      const old = lane.added.splice(0, Math.max(0, lane.added.length - keep));
      await Promise.all(old.map(({ device }) => device.stop()));
    }
  }

  async close(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.lanes.map(({ controller }) => controller.close()));
    await this.running;
    await this.retire();
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
