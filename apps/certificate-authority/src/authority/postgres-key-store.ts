import type { SecretBox } from '@mqtt2go/pki';
import { KeyStore } from '@mqtt2go/ports';
import type { EntityManager } from 'typeorm';
import { SealedSecret } from './sealed-secret.entity.js';

/** Keys in the service's own schema, encrypted with the key that only the process has. */
export class PostgresKeyStore extends KeyStore {
  constructor(
    private readonly manager: EntityManager,
    private readonly box: SecretBox,
  ) {
    super();
  }

  override async putIfAbsent(name: string, secret: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    await this.manager
      .createQueryBuilder()
      .insert()
      .into(SealedSecret)
      .values({ name, sealed: Buffer.from(this.box.seal(name, secret)) })
      .orIgnore()
      .execute();
    const stored = await this.get(name);
    // Destroyed by another process in between: the name is free again.
    return stored ?? this.putIfAbsent(name, secret);
  }

  override async get(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const row = await this.manager.findOneBy(SealedSecret, { name });
    return row === null ? undefined : this.box.open(name, row.sealed);
  }

  override async destroy(name: string): Promise<void> {
    await this.manager.delete(SealedSecret, { name });
  }
}
