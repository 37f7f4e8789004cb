import { Controller } from '@mqtt2go/controller-sdk';
import { Device, MemoryDeviceStore } from '@mqtt2go/device-sdk';
import { topicGenerator } from '@mqtt2go/messaging';
import type { Authority } from '@mqtt2go/pki';
import { type KeyMode, Mqtt2goError, toMqtt2goError } from '@mqtt2go/protocol';
import pLimit from 'p-limit';
import { randomBytes } from 'node:crypto';
import { registerManufacturer } from '../factory/manufacturer.js';
import { type MintedDevice, mintDevice, recordDevices } from '../factory/minted-device.js';
import type { Operator } from '../platform/operator.js';
import { addOne } from './add-one.js';
import { rememberingLookup } from './remembering-lookup.js';

export interface FleetOptions {
  readonly devices: number;
  /** Devices that are added at once; no more than homes, as a gateway adds one at a time. */
  readonly concurrency: number;
  readonly homes: number;
  readonly keyMode: KeyMode;
  /** For one device, from step 1 to step 13; 60 s by default. */
  readonly timeoutMs?: number;
  /** Devices stay connected until `signal` is aborted, and report. */
  readonly stay?: boolean;
  readonly signal: AbortSignal;
  readonly onPhase?: (phase: 'minting' | 'adding' | 'living') => void;
  readonly onDevice?: (done: number, failed: number) => void;
  /** Told when all are added, before the devices leave. */
  readonly onAdded?: (report: FleetReport) => void;
}

export interface FleetReport {
  readonly devices: number;
  readonly added: number;
  readonly failed: readonly { readonly deviceId: string; readonly code: string; readonly detail: string }[];
  /** From the first step 1 to the last step 13; minting and signing in are before it. */
  readonly seconds: number;
  readonly perSecond: number;
  /** From step 1 to step 13 of one device, milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const batchSize = 500;
const mintingAtOnce = 16;

/** Adds many devices at once, over real connections: minted in memory, each added by its home's controller. */
export async function runFleet(operator: Operator, authority: Authority, options: FleetOptions): Promise<FleetReport> {
  const { devices: count, homes, signal, onPhase } = options;
  const run = randomBytes(3).toString('hex');
  onPhase?.('minting');
  await registerManufacturer(operator, authority);
  const minted = await mintFleet(operator, authority, { run, count, keyMode: options.keyMode, signal });
  const controllers = await signIn(operator, { run, homes: Math.min(homes, count), signal });
  const living: Device[] = [];
  try {
    onPhase?.('adding');
    const report = await addAll(minted, controllers, living, options);
    options.onAdded?.(report);
    if (options.stay) {
      onPhase?.('living');
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    return report;
  } finally {
    await Promise.all(living.map((device) => device.stop()));
    await Promise.all(controllers.map((controller) => controller.close()));
  }
}

interface MintFleet {
  readonly run: string;
  readonly count: number;
  readonly keyMode: KeyMode;
  readonly signal: AbortSignal;
}

async function mintFleet(
  operator: Operator,
  authority: Authority,
  { run, count, keyMode, signal }: MintFleet,
): Promise<MintedDevice[]> {
  const limit = pLimit(mintingAtOnce);
  const minted: MintedDevice[] = [];
  for (let from = 0; from < count; from += batchSize) {
    signal.throwIfAborted();
    const numbers = Array.from({ length: Math.min(batchSize, count - from) }, (_unused, at) => from + at + 1);
    const batch = await Promise.all(
      numbers.map((number) =>
        limit(() =>
          mintDevice(
            { deviceId: `fleet-${run}-${String(number).padStart(6, '0')}`, deviceType: 'socket', keyMode },
            { authority, operator },
          ),
        ),
      ),
    );
    await recordDevices(operator, batch);
    minted.push(...batch);
  }
  return minted;
}

async function signIn(
  operator: Operator,
  { run, homes, signal }: { run: string; homes: number; signal: AbortSignal },
): Promise<Controller[]> {
  const limit = pLimit(8);
  const made = await Promise.allSettled(
    Array.from({ length: homes }, (_unused, at) =>
      limit(async () => {
        signal.throwIfAborted();
        const homeId = `fleet-${run}-h${at + 1}`;
        const gatewayId = 'gw';
        const user = await operator.bus.call(topicGenerator.createController, { homeId, gatewayId });
        const controller = new Controller({ ...user, homeId, gatewayId, ca: operator.ca });
        try {
          await controller.connect();
          return controller;
        } catch (error) {
          await controller.close();
          throw error;
        }
      }),
    ),
  );
  const controllers = made.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failure = made.find((result) => result.status === 'rejected');
  if (failure === undefined) return controllers;
  await Promise.all(controllers.map((controller) => controller.close()));
  throw failure.reason;
}

async function addAll(
  minted: readonly MintedDevice[],
  controllers: readonly Controller[],
  living: Device[],
  { concurrency, timeoutMs = 60_000, stay = false, signal, onDevice }: FleetOptions,
): Promise<FleetReport> {
  const queue = [...minted].reverse();
  const idle = [...controllers];
  const times: number[] = [];
  const lookup = rememberingLookup();
  const failed: { deviceId: string; code: string; detail: string }[] = [];
  const startedMs = performance.now();
  let endedMs = startedMs;

  const worker = async (): Promise<void> => {
    for (let next = queue.pop(); next !== undefined && !signal.aborted; next = queue.pop()) {
      const controller = idle.shift();
      if (controller === undefined) throw new Error('more workers than homes');
      const device = new Device(new MemoryDeviceStore(next.identity), {
        times: { backOff: { minMs: 100, maxMs: 5_000 } },
        lookup,
      });
      const late = AbortSignal.timeout(timeoutMs);
      const began = performance.now();
      let lastStep = 0;
      device.on('step', ({ step }) => {
        lastStep = step;
      });
      try {
        const naming = { name: next.record.device_id, groupIds: ['fleet'] };
        await addOne({
          controller,
          minted: next,
          device,
          naming,
          onProgress: (progress) => {
            if (progress.kind === 'step') lastStep = progress.step;
          },
          signal: AbortSignal.any([signal, late]),
        });
        endedMs = performance.now();
        times.push(endedMs - began);
        if (stay) living.push(device);
        else void device.stop();
      } catch (error) {
        await device.stop();
        if (!signal.aborted) failed.push({ deviceId: next.record.device_id, ...describe(error, late, lastStep) });
      }
      idle.push(controller);
      onDevice?.(times.length + failed.length, failed.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, controllers.length) }, worker));
  signal.throwIfAborted();
  const seconds = (endedMs - startedMs) / 1_000;
  const sorted = times.toSorted((a, b) => a - b);
  return {
    devices: minted.length,
    added: times.length,
    failed,
    seconds,
    perSecond: seconds > 0 ? times.length / seconds : 0,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    maxMs: sorted.at(-1) ?? 0,
  };
}

function describe(error: unknown, late: AbortSignal, lastStep: number): { code: string; detail: string } {
  const known = late.aborted
    ? new Mqtt2goError('timeout', `Nothing happened after step ${lastStep}.`)
    : toMqtt2goError(error);
  return { code: known.code, detail: known.message };
}

/** The nearest rank. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
