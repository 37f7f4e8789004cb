import { MemoryDeviceStore } from '@mqtt2go/device-sdk';
import type { KeyMode } from '@mqtt2go/protocol';
import type { MintedDevice } from './world.js';

/** Nobody listens there: for a device that has a gateway in the house and no Discovery server. */
export const noDiscovery = 1;

/**
 * A device of the SDK as it leaves the factory.
 * @param ca PEM; what it trusts
 * @param discoveryPort of the Discovery server's broker on this machine
 */
export function storeOf(
  { deviceId, code, type, cert, key }: MintedDevice,
  ca: string,
  discoveryPort: number,
  keyMode: KeyMode = 'existing-key',
): MemoryDeviceStore {
  const file = {
    device_id: deviceId,
    activation_code: code,
    device_type: type,
    discovery: { host: 'localhost', port: discoveryPort },
    key_mode: keyMode,
  };
  return new MemoryDeviceStore({ file, certificate: cert, key, ca });
}
