import { type FactoryRecord, provisioning } from '@mqtt2go/messaging';
import { type Authority, generateKeys, writePrivateKey, writePublicKey } from '@mqtt2go/pki';
import { type KeyMode, Mqtt2goError } from '@mqtt2go/protocol';
import type { DeviceIdentity } from '@mqtt2go/device-sdk';
import { randomInt } from 'node:crypto';
import type { Operator } from '../platform/operator.js';

export interface MintRequest {
  readonly deviceId: string;
  readonly deviceType: string;
  readonly keyMode: KeyMode;
  /** Made up if left out. */
  readonly activationCode?: string;
}

export interface MintedDevice {
  readonly identity: DeviceIdentity;
  readonly record: FactoryRecord;
}

/** No 0 O 1 I L: codes are read from a label and typed. */
const alphabet = '23456789ABCDEFGHJKMNPQRSTUVWXYZ';

/** 59 random bits in three groups: `K7WM-3XQP-9RTD`. */
export function makeActivationCode(): string {
  const group = (): string => Array.from({ length: 4 }, () => alphabet[randomInt(alphabet.length)]).join('');
  return `${group()}-${group()}-${group()}`;
}

/** What a manufacturer makes: key, pre-loaded certificate, code; nothing of it leaves this process yet. */
export async function mintDevice(
  request: MintRequest,
  factory: { readonly authority: Authority; readonly operator: Pick<Operator, 'platform' | 'ca'> },
): Promise<MintedDevice> {
  const { deviceId, deviceType, keyMode, activationCode = makeActivationCode() } = request;
  const { authority, operator } = factory;
  const keys = await generateKeys();
  const issued = authority.issuePreloadedDevice({ deviceId, deviceType, publicKey: keys.publicKey, nowMs: Date.now() });
  const { host, ports } = operator.platform;
  return {
    identity: {
      file: {
        device_id: deviceId,
        activation_code: activationCode,
        device_type: deviceType,
        discovery: { host, port: ports.activation },
        key_mode: keyMode,
      },
      certificate: authority.withChain(issued.pem),
      key: writePrivateKey(keys.privateKey),
      ca: operator.ca,
    },
    record: {
      device_id: deviceId,
      activation_code: activationCode,
      device_type: deviceType,
      key_mode: keyMode,
      // In the other modes the operational key is another one.
      ...(keyMode === 'existing-key' ? { public_key: writePublicKey(keys.publicKey) } : {}),
    },
  };
}

/** Puts devices into the platform's factory registry, at most 1000 at once. @throws Mqtt2goError if one is not taken */
export async function recordDevices(operator: Operator, devices: readonly MintedDevice[]): Promise<void> {
  const records = devices.map(({ record }) => record);
  const { rejected } = await operator.bus.call(provisioning.importFactoryRecords, { records });
  const [first] = rejected;
  if (first !== undefined) {
    throw new Mqtt2goError(
      'malformed_message',
      `The factory registry does not take ${records[first.index]?.device_id}: ${first.reason}.`,
    );
  }
}
