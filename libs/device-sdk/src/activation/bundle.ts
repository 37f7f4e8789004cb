import {
  certificateFingerprint,
  isKeyOf,
  joinPem,
  readCertificate,
  readPrivateKey,
  splitDeviceBundle,
  splitPem,
  verifyChain,
} from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';

export interface BundleCheck {
  /** The `device_certificate` of step 7. */
  readonly bundle: string;
  readonly deviceId: string;
  /** PEM; the certificate has to chain up to it. */
  readonly ca: string;
  /** PEM of the pre-loaded key. */
  readonly preloadedKey: string;
  /** PEM of the operational key that the device uses already, if it has one of its own. */
  readonly usedKey?: string | undefined;
  /** PEM of the key that the request asked a certificate for, in the `csr` key mode. */
  readonly requestedKey: string | undefined;
}

export interface CheckedBundle {
  /** PEM: certificate and chain. */
  readonly certificate: string;
  /** PEM; missing when the certificate is for the pre-loaded key. */
  readonly key?: string;
}

/**
 * Makes sure that what came is this device's: from the CA that it trusts, in its name, for its key. A device that
 * asked for a certificate for its own key takes no other. The dates are left to the broker: a device may have no clock.
 * @throws Mqtt2goError `certificate_not_accepted`
 */
export function checkBundle(check: BundleCheck): CheckedBundle {
  const { certificate, chain, privateKey } = split(check.bundle);
  const { commonName } = readCertificate(certificate);
  if (commonName !== check.deviceId) {
    throw refused(`it is for ${commonName ?? 'nobody'}, and this is ${check.deviceId}`);
  }
  const trustAnchors = splitPem(check.ca).map(({ pem }) => pem);
  const verdict = verifyChain({ certificate, chain, trustAnchors, nowMs: undefined, purpose: 'client' });
  if (!verdict.valid) throw refused(`its chain does not hold (${verdict.reason})`);
  const withChain = joinPem([certificate, ...chain]);
  if (check.requestedKey !== undefined) {
    if (privateKey !== undefined || !isFor(check.requestedKey, certificate)) {
      throw refused('it is not for the key that was asked for');
    }
    return { certificate: withChain, key: check.requestedKey };
  }
  if (privateKey !== undefined) {
    if (!isFor(privateKey, certificate)) throw refused('the key that came with it is not its own');
    return { certificate: withChain, key: privateKey };
  }
  if (isFor(check.preloadedKey, certificate)) return { certificate: withChain };
  if (check.usedKey !== undefined && isFor(check.usedKey, certificate)) {
    return { certificate: withChain, key: check.usedKey };
  }
  throw refused('it is for a key that the device does not have');
}

/**
 * True if what came is the certificate that the device has already, whatever chain came with it: the device keeps its own.
 * @param certificate PEM, with the chain
 */
export function isSameCertificate(bundle: string, certificate: string): boolean {
  try {
    return certificateFingerprint(bundle) === certificateFingerprint(certificate);
  } catch {
    return false;
  }
}

function split(bundle: string): ReturnType<typeof splitDeviceBundle> {
  try {
    return splitDeviceBundle(bundle);
  } catch (error) {
    throw refused('it is not a PEM bundle', error);
  }
}

function isFor(key: string, certificate: string): boolean {
  try {
    return isKeyOf(readPrivateKey(key), certificate);
  } catch {
    return false;
  }
}

function refused(why: string, cause?: unknown): Mqtt2goError {
  return new Mqtt2goError('certificate_not_accepted', `The device does not take the certificate: ${why}.`, { cause });
}
