import { createPublicKey } from 'node:crypto';
import { generateKeys, type KeyPair, privateKeyDer, readPrivateKeyDer } from '@mqtt2go/pki';
import type { KeyStore } from '@mqtt2go/ports';

/** The keys of this name, made now if there are none. */
export async function openKeys(keyStore: KeyStore, name: string): Promise<KeyPair> {
  const stored = await keyStore.get(name);
  const der = stored ?? (await keyStore.putIfAbsent(name, privateKeyDer((await generateKeys()).privateKey)));
  const privateKey = readPrivateKeyDer(der);
  return { privateKey, publicKey: createPublicKey(privateKey) };
}
