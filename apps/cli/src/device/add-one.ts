import type { AddDeviceRequest, AddedDevice, AddProgress, Controller } from '@mqtt2go/controller-sdk';
import type { Device } from '@mqtt2go/device-sdk';
import type { MintedDevice } from '../factory/minted-device.js';

export interface AddOneRequest {
  readonly controller: Controller;
  readonly minted: MintedDevice;
  /** Not running yet: it is switched on when the platform waits for it. */
  readonly device: Device;
  readonly naming: AddDeviceRequest['naming'];
  readonly onProgress?: (progress: AddProgress) => void;
  readonly signal: AbortSignal;
}

/** A platform that does not tell its progress gets this long before the device is switched on all the same. */
const switchOnMs = 3_000;

/**
 * Both sides at once: a controller adds a device that is switched on meanwhile. Resolves when the device is
 * subscribed to its topics and the controller has been told so; the device goes on living.
 * @throws Mqtt2goError of whichever side was refused, or the reason of `signal`
 */
export async function addOne({
  controller,
  minted,
  device,
  naming,
  onProgress,
  signal,
}: AddOneRequest): Promise<AddedDevice> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const { device_id: deviceId, activation_code: activationCode, device_type: deviceType } = minted.identity.file;
  let switchOn: () => void = () => undefined;
  const active = new Promise<void>((resolve, reject) => {
    device.once('active', () => resolve());
    switchOn = () => {
      clearTimeout(timer);
      device.run(signal).catch((error: unknown) => {
        reject(error);
        over.abort(error);
      });
    };
    either.addEventListener('abort', () => reject(either.reason), { once: true });
  });
  active.catch(() => undefined);
  const timer = setTimeout(() => switchOn(), switchOnMs);
  try {
    const added = await controller.addDevice({
      deviceId,
      activationCode,
      deviceType,
      naming,
      signal: either,
      onProgress: (progress) => {
        onProgress?.(progress);
        if (progress.kind === 'state' && progress.state === 'announced') switchOn();
      },
    });
    await active;
    return added;
  } finally {
    clearTimeout(timer);
  }
}
