import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Authority,
  generateKeys,
  type IssuedCertificate,
  isIssuedBy,
  isKeyOf,
  type KeyObject,
  namesAllHosts,
  PUBLIC_FILE_MODE,
  readCertificate,
  readPrivateKey,
  SECRET_FILE_MODE,
  SERVER_RENEWAL_MS,
  writeFileAtomically,
  writePrivateKey,
} from '@mqtt2go/pki';

/** What a server or a service shows of itself; PEM. */
export interface Identity {
  /** Leaf and chain, the root left out. */
  readonly cert: string;
  readonly key: string;
}

export interface IdentityRequest {
  /** `<name>.crt` and `<name>.key` are in this folder. */
  readonly folder: string;
  readonly name: string;
  readonly authority: Authority;
  readonly hosts: readonly string[];
  readonly nowMs: number;
  readonly issue: (publicKey: KeyObject) => IssuedCertificate;
  /** For the owner only by default. */
  readonly keyMode?: number;
}

/**
 * The identity in its two files, made anew where it is missing, is no pair (a process was killed between the two), comes from
 * another CA, does not name all hosts, begins in the future, or ends within 30 days.
 */
export async function keepIdentity(request: IdentityRequest): Promise<{ identity: Identity; isNew: boolean }> {
  const certificatePath = join(request.folder, `${request.name}.crt`);
  const keyPath = join(request.folder, `${request.name}.key`);
  const existing = await readPair(certificatePath, keyPath);
  if (existing !== undefined && isGood(existing, request)) return { identity: existing, isNew: false };

  const { privateKey, publicKey } = await generateKeys();
  const { authority, issue } = request;
  const identity = { cert: authority.withChain(issue(publicKey).pem), key: writePrivateKey(privateKey) };
  await writeFileAtomically(keyPath, identity.key, request.keyMode ?? SECRET_FILE_MODE);
  await writeFileAtomically(certificatePath, identity.cert, PUBLIC_FILE_MODE);
  return { identity, isNew: true };
}

async function readPair(certificatePath: string, keyPath: string): Promise<Identity | undefined> {
  try {
    const [cert, key] = await Promise.all([readFile(certificatePath, 'utf8'), readFile(keyPath, 'utf8')]);
    return { cert, key };
  } catch {
    return undefined;
  }
}

function isGood({ cert, key }: Identity, { authority, hosts, nowMs }: IdentityRequest): boolean {
  try {
    const { notBeforeMs, notAfterMs } = readCertificate(cert);
    return (
      isKeyOf(readPrivateKey(key), cert) &&
      isIssuedBy(cert, authority.certificate) &&
      namesAllHosts(cert, hosts) &&
      notBeforeMs <= nowMs &&
      notAfterMs - nowMs > SERVER_RENEWAL_MS
    );
  } catch {
    return false;
  }
}
