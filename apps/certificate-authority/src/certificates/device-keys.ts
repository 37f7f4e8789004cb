import { type KeyObject, readCertificateRequest } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { QueryFailedError } from 'typeorm';

/**
 * The key of a request that is this device's own.
 * @throws Mqtt2goError `csr_invalid`, `csr_name_mismatch`, `key_not_accepted`
 */
export async function readDeviceRequest(csr: string, deviceId: string): Promise<KeyObject> {
  const { commonName, publicKey } = await readCertificateRequest(csr);
  if (commonName !== deviceId) throw new Mqtt2goError('csr_name_mismatch');
  return publicKey;
}

const foreignKeyViolation = '23503';

/**
 * Runs a statement that stores a certificate.
 * @throws Mqtt2goError `csr_key_mismatch` when the database finds that the key is another device's
 */
export async function withOwnKey<T>(store: () => Promise<T>): Promise<T> {
  try {
    return await store();
  } catch (error) {
    if (isForeignKey(error)) {
      throw new Mqtt2goError('csr_key_mismatch', 'The key is known as that of another device.');
    }
    throw error;
  }
}

/** True for the database's refusal of a key that is another device's. */
export function isForeignKey(error: unknown): boolean {
  return error instanceof QueryFailedError && isKeyViolation(error.driverError);
}

function isKeyViolation(cause: unknown): boolean {
  return (
    typeof cause === 'object' &&
    cause !== null &&
    'code' in cause &&
    cause.code === foreignKeyViolation &&
    'constraint' in cause &&
    cause.constraint === 'device_certificate_key_fk'
  );
}
