import type { ActivationPrincipal, Principal, PrincipalKey } from '@mqtt2go/access';
import { Clock, type PrincipalSource } from '@mqtt2go/ports';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { RelocationSecrets } from '../relocation/relocation-secrets.js';

const pageSize = 1_000;

/** What the broker is told of an entry. */
export interface PrincipalRow {
  readonly device_id: string;
  readonly activation_code: string;
  readonly expires_at: Date;
}

interface RelocatedRow {
  readonly device_id: string;
  readonly sealed: Buffer;
  readonly expires_at: Date;
}

export const principalColumns = 'device_id, activation_code, expires_at';

/** Who is to be on the activation broker, by the database: the devices whose time is not over, and those whose homes have moved. */
@Injectable()
export class ActivationPrincipals implements PrincipalSource {
  constructor(
    private readonly dataSource: DataSource,
    private readonly clock: Clock,
    private readonly secrets?: RelocationSecrets,
  ) {}

  async load(keys: readonly PrincipalKey[]): Promise<readonly Principal[]> {
    const ids = keys.map(({ id }) => id);
    const waiting = await this.read('device_id = ANY($2)', [ids]);
    if (waiting.length === ids.length) return waiting;
    return [...waiting, ...(await this.relocated('r.device_id = ANY($2)', [ids]))];
  }

  async *all(): AsyncIterable<Principal> {
    let after = '';
    for (;;) {
      const page = await this.read('device_id > $2 ORDER BY device_id LIMIT $3', [after, pageSize]);
      yield* page;
      if (page.length < pageSize) break;
      after = page.at(-1)?.id ?? after;
    }
    after = '';
    for (;;) {
      const page = await this.relocated('r.device_id > $2 ORDER BY r.device_id LIMIT $3', [after, pageSize]);
      yield* page;
      if (page.length < pageSize) return;
      after = page.at(-1)?.id ?? after;
    }
  }

  /** One that is being added anew comes for that. */
  private async relocated(condition: string, parameters: unknown[]): Promise<ActivationPrincipal[]> {
    const { secrets } = this;
    // For the file that a broker starts from: the service tells it of the others.
    if (secrets === undefined) return [];
    const rows = await this.dataSource.query<RelocatedRow[]>(
      `SELECT r.device_id, r.sealed, r.expires_at FROM discovery.relocation r
       WHERE r.expires_at > $1 AND NOT EXISTS (
         SELECT FROM discovery.waiting_activation w WHERE w.device_id = r.device_id AND w.expires_at > $1)
         AND ${condition}`,
      [new Date(this.clock.now()), ...parameters],
    );
    return rows.map(({ device_id: id, sealed, expires_at }) => ({
      kind: 'activation',
      id,
      activationCode: secrets.open(id, sealed).activationCode,
      expiresAtMs: expires_at.getTime(),
    }));
  }

  private async read(condition: string, parameters: unknown[]): Promise<ActivationPrincipal[]> {
    const rows = await this.dataSource.query<PrincipalRow[]>(
      `SELECT ${principalColumns} FROM discovery.waiting_activation WHERE expires_at > $1 AND ${condition}`,
      [new Date(this.clock.now()), ...parameters],
    );
    return rows.map(principalOf);
  }
}

export function principalOf({
  device_id: id,
  activation_code: activationCode,
  expires_at,
}: PrincipalRow): ActivationPrincipal {
  return { kind: 'activation', id, activationCode, expiresAtMs: expires_at.getTime() };
}
