import { Mqtt2goError } from '@mqtt2go/protocol';
import { joinPem, splitPem } from './pem.js';

/** The standard's `device_certificate`: what a device needs to come to its home's broker. */
export interface DeviceBundle {
  /** PEM of the device's own certificate. */
  readonly certificate: string;
  /** PEM of its issuing CAs, the root left out. */
  readonly chain: readonly string[];
  /** PEM PKCS#8, only if the platform made the key. */
  readonly privateKey?: string;
}

/** One PEM text: certificate, chain, key. */
export function joinDeviceBundle(bundle: DeviceBundle): string {
  return joinPem([
    bundle.certificate,
    ...bundle.chain,
    ...(bundle.privateKey === undefined ? [] : [bundle.privateKey]),
  ]);
}

/**
 * Takes a bundle apart.
 * @throws Mqtt2goError `malformed_message` when there is no certificate, more than one key, or something else
 */
export function splitDeviceBundle(text: string): DeviceBundle {
  const blocks = splitPem(text);
  const [certificate, ...chain] = blocks.filter(({ label }) => label === 'CERTIFICATE').map(({ pem }) => pem);
  const keys = blocks.filter(({ label }) => label === 'PRIVATE KEY').map(({ pem }) => pem);
  if (certificate === undefined || keys.length > 1 || 1 + chain.length + keys.length !== blocks.length) {
    throw new Mqtt2goError(
      'malformed_message',
      'A device certificate is a PEM bundle: certificate, chain, PKCS#8 key.',
    );
  }
  const [privateKey] = keys;
  return privateKey === undefined ? { certificate, chain } : { certificate, chain, privateKey };
}
