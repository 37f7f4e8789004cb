/** Keeps secrets (PKCS#8 keys) encrypted at rest under names; the clear text never leaves the process. */
export abstract class KeyStore {
  /** Stores `secret` unless the name is taken; returns what is stored under the name afterwards. */
  abstract putIfAbsent(name: string, secret: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  abstract get(name: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Destroys the secret. Unknown names are fine. */
  abstract destroy(name: string): Promise<void>;
}
