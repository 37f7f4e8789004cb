import 'reflect-metadata';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { Integer } from 'asn1js';
import { Encoded, explicit, sequence, signed } from './asn1.js';
import { type KeyObject, type KeyPair, publicKeyDer, readPublicKeyDer, Signer } from './keys.js';
import { encodeName } from './names.js';
import { splitPem, toPem } from './pem.js';

export interface CertificateRequest {
  /** `undefined` unless the subject has exactly one. */
  readonly commonName: string | undefined;
  readonly publicKey: KeyObject;
}

/** A PKCS#10 request (PEM) for this key, with the device's id as its common name. */
export function createCertificateRequest(request: { readonly deviceId: string; readonly keys: KeyPair }): string {
  const signer = new Signer(request.keys.privateKey);
  const toBeSigned = sequence(
    new Integer({ value: 0 }),
    encodeName({ commonName: request.deviceId }),
    new Encoded(publicKeyDer(request.keys.publicKey)),
    explicit(0),
  );
  return toPem('CERTIFICATE REQUEST', signed(toBeSigned, signer));
}

/** A request has one key, one name and little else. */
const maximumBytes = 8192;

/**
 * Reads a PKCS#10 request (PEM) and verifies its signature, which proves that the sender has the private key. What it asks for
 * besides name and key is ignored.
 * @throws Mqtt2goError `csr_invalid`, `key_not_accepted`
 */
export async function readCertificateRequest(pem: string): Promise<CertificateRequest> {
  const request = parse(pem);
  const publicKey = readPublicKeyDer(new Uint8Array(request.publicKey.rawData));
  if (brokenHashes.has(hashName(request.signatureAlgorithm) ?? '')) {
    throw new Mqtt2goError('csr_invalid', 'The certificate signing request is signed over a broken hash.');
  }
  const verified = await request.verify().catch(() => false);
  if (!verified) {
    throw new Mqtt2goError('csr_invalid', 'The signature of the certificate signing request does not verify.');
  }
  const names = request.subjectName.getField('CN');
  return { commonName: names.length === 1 ? names[0] : undefined, publicKey };
}

const brokenHashes = new Set(['SHA-1', 'MD5']);

/** From WebCrypto's description of an algorithm. */
function hashName(algorithm: unknown): string | undefined {
  if (typeof algorithm !== 'object' || algorithm === null || !('hash' in algorithm)) return undefined;
  const { hash } = algorithm;
  const named = typeof hash === 'object' && hash !== null && 'name' in hash ? hash.name : hash;
  return typeof named === 'string' ? named : undefined;
}

function parse(pem: string): Pkcs10CertificateRequest {
  const unreadable = (cause?: unknown) =>
    new Mqtt2goError('csr_invalid', 'The certificate signing request is not one PKCS#10 block in PEM.', { cause });
  let request: Pkcs10CertificateRequest;
  try {
    const [block, ...more] = splitPem(pem);
    if (block === undefined || more.length > 0 || !/^(NEW )?CERTIFICATE REQUEST$/.test(block.label)) throw unreadable();
    if (block.der.length > maximumBytes) throw unreadable();
    request = new Pkcs10CertificateRequest(block.der);
  } catch (error) {
    throw error instanceof Mqtt2goError && error.code === 'csr_invalid' ? error : unreadable(error);
  }
  return request;
}
