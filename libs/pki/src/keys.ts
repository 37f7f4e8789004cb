import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Null } from 'asn1js';
import { type Encoded, encoded, oid, sequence } from './asn1.js';
import { type PemBlock, splitPem, toPem } from './pem.js';

export type { KeyObject } from 'node:crypto';

/** What the platform makes itself; devices may also come with RSA keys of 2048 to 8192 bits. */
export type KeyAlgorithm = 'P-256' | 'P-384' | 'Ed25519';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const generate = promisify(generateKeyPair);

/** A new key pair, made off the main thread. */
export function generateKeys(algorithm: KeyAlgorithm = 'P-256'): Promise<KeyPair> {
  return algorithm === 'Ed25519' ? generate('ed25519') : generate('ec', { namedCurve: algorithm });
}

/**
 * Reads an unencrypted private key in PEM (PKCS#8 as a rule).
 * @throws Mqtt2goError `key_not_accepted`
 */
export function readPrivateKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new Mqtt2goError('key_not_accepted', 'The private key cannot be read: PKCS#8 in PEM is needed.', { cause });
  }
  requireAccepted(key);
  return key;
}

/** PEM PKCS#8, unencrypted. */
export function writePrivateKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** DER PKCS#8, unencrypted: the form that is sealed for the database. */
export function privateKeyDer(key: KeyObject): Uint8Array<ArrayBuffer> {
  return new Uint8Array(key.export({ type: 'pkcs8', format: 'der' }));
}

/** The key that {@link privateKeyDer} wrote. */
export function readPrivateKeyDer(der: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
}

/**
 * Reads a public key in PEM SubjectPublicKeyInfo and checks that its type and size are accepted. The key
 * comes out in one form whatever it went in as: a compressed point would otherwise pass as another key.
 * @throws Mqtt2goError `key_not_accepted`
 */
export function readPublicKey(pem: string): KeyObject {
  let block: PemBlock | undefined;
  try {
    block = splitPem(pem).find(({ label }) => label === 'PUBLIC KEY');
  } catch (cause) {
    throw unreadablePublicKey(cause);
  }
  if (block === undefined) throw unreadablePublicKey();
  return readAccepted(Buffer.from(block.der));
}

/** As {@link readPublicKey}, from DER. */
export function readPublicKeyDer(der: Uint8Array): KeyObject {
  return readAccepted(Buffer.from(der));
}

/** PEM SubjectPublicKeyInfo. */
export function writePublicKey(key: KeyObject): string {
  return toPem('PUBLIC KEY', publicKeyDer(key));
}

/** Exporting a key costs twice a signature, and most keys are written right after they were read. */
const knownDer = new WeakMap<KeyObject, Buffer<ArrayBuffer>>();

/** DER SubjectPublicKeyInfo. */
export function publicKeyDer(key: KeyObject): Buffer<ArrayBuffer> {
  const known = knownDer.get(key);
  if (known !== undefined) return known;
  const der = Buffer.from(publicHalf(key).export({ type: 'spki', format: 'der' }));
  knownDer.set(key, der);
  return der;
}

/** SHA-256 of the DER SubjectPublicKeyInfo: one value per key, 32 bytes. */
export function publicKeyHash(key: KeyObject): Buffer<ArrayBuffer> {
  return Buffer.from(createHash('sha256').update(publicKeyDer(key)).digest());
}

function publicHalf(key: KeyObject): KeyObject {
  return key.type === 'private' ? createPublicKey(key) : key;
}

/** How a DER SubjectPublicKeyInfo with a whole, uncompressed point begins, on P-256 and on P-384. */
const plainPoints = [
  { length: 91, head: Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex') },
  { length: 120, head: Buffer.from('3076301006072a8648ce3d020106052b8104002203620004', 'hex') },
];

function readAccepted(der: Buffer<ArrayBuffer>): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch (cause) {
    throw unreadablePublicKey(cause);
  }
  requireAccepted(key);
  if (plainPoints.some(({ length, head }) => der.length === length && der.subarray(0, head.length).equals(head))) {
    knownDer.set(key, der);
    return key;
  }
  return key.asymmetricKeyType === 'ec' ? createPublicKey({ key: key.export({ format: 'jwk' }), format: 'jwk' }) : key;
}

function unreadablePublicKey(cause?: unknown): Mqtt2goError {
  return new Mqtt2goError('key_not_accepted', 'The public key cannot be read: SubjectPublicKeyInfo is needed.', {
    cause,
  });
}

/** @throws Mqtt2goError `key_not_accepted` unless it is P-256, P-384, Ed25519 or RSA of 2048 to 8192 bits */
function requireAccepted(key: KeyObject): void {
  if (signingScheme(key) === undefined) {
    const details = key.asymmetricKeyDetails;
    const what = [key.asymmetricKeyType, details?.namedCurve, details?.modulusLength].filter(Boolean).join(' ');
    throw new Mqtt2goError(
      'key_not_accepted',
      `A key of the type ${what} is not accepted: ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits is.`,
    );
  }
}

interface SigningScheme {
  /** `null` where the scheme hashes by itself. */
  readonly digest: 'sha256' | 'sha384' | null;
  /** AlgorithmIdentifier of the signature. */
  readonly identifier: Encoded;
}

const ecdsaSha256: SigningScheme = { digest: 'sha256', identifier: algorithm('1.2.840.10045.4.3.2') };
const ecdsaSha384: SigningScheme = { digest: 'sha384', identifier: algorithm('1.2.840.10045.4.3.3') };
const ed25519: SigningScheme = { digest: null, identifier: algorithm('1.3.101.112') };
const rsaSha256: SigningScheme = { digest: 'sha256', identifier: algorithm('1.2.840.113549.1.1.11', new Null()) };

function algorithm(type: string, ...parameters: Null[]): Encoded {
  return encoded(sequence(oid(type), ...parameters));
}

function signingScheme(key: KeyObject): SigningScheme | undefined {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case 'ec':
      if (details?.namedCurve === 'prime256v1') return ecdsaSha256;
      return details?.namedCurve === 'secp384r1' ? ecdsaSha384 : undefined;
    case 'ed25519':
      return ed25519;
    case 'rsa': {
      const bits = details?.modulusLength ?? 0;
      return bits >= 2048 && bits <= 8192 && (details?.publicExponent ?? 0n) >= 65537n ? rsaSha256 : undefined;
    }
    default:
      return undefined;
  }
}

/** Signs with the scheme that goes with a key; made once per key. */
export class Signer {
  readonly #key: KeyObject;
  readonly #scheme: SigningScheme;

  /** @throws Mqtt2goError `key_not_accepted` */
  constructor(privateKey: KeyObject) {
    requireAccepted(privateKey);
    this.#key = privateKey;
    this.#scheme = signingScheme(privateKey) ?? ecdsaSha256;
  }

  /** AlgorithmIdentifier. */
  get algorithm(): Encoded {
    return this.#scheme.identifier;
  }

  sign(content: Uint8Array): Buffer {
    return sign(this.#scheme.digest, content, this.#key);
  }
}
