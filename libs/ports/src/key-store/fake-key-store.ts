import { KeyStore } from './key-store.js';

/** Keeps secrets in memory, for tests. */
export class FakeKeyStore extends KeyStore {
  readonly #secrets = new Map<string, Uint8Array<ArrayBuffer>>();

  override async putIfAbsent(name: string, secret: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const stored = this.#secrets.get(name) ?? secret.slice();
    this.#secrets.set(name, stored);
    return stored.slice();
  }

  override async get(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.#secrets.get(name)?.slice();
  }

  override async destroy(name: string): Promise<void> {
    this.#secrets.delete(name);
  }
}
