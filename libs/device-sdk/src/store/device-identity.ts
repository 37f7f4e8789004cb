import { deviceType, identifier, keyMode } from '@mqtt2go/protocol';
import { z } from 'zod';

/** `device.json`: what the manufacturer tells the device about itself. */
export const deviceFile = z.object({
  device_id: identifier,
  activation_code: identifier,
  device_type: deviceType,
  /** The Discovery server's broker, pre-loaded during manufacturing (step 4). */
  discovery: z.object({ host: z.string().min(1), port: z.int().min(1).max(65_535) }),
  /** `csr`: the device makes its operational key by itself and asks for a certificate for it. */
  key_mode: keyMode.optional(),
});
export type DeviceFile = z.infer<typeof deviceFile>;

/** All that a device leaves the factory with. Certificates and keys are PEM. */
export interface DeviceIdentity {
  readonly file: DeviceFile;
  /** The pre-loaded certificate and its chain; its CN is the device id. */
  readonly certificate: string;
  readonly key: string;
  /** The trust anchor for every server that the device talks to. */
  readonly ca: string;
}
