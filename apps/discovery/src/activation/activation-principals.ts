import type { ActivationPrincipal, Principal, PrincipalKey } from '@mqtt2go/access';
import { Clock, type PrincipalSource } from '@mqtt2go/ports';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

const pageSize = 1_000;

/** What the broker is told of an entry. */
export interface PrincipalRow {
  readonly device_id: string;
  readonly activation_code: string;
  readonly expires_at: Date;
}

export const principalColumns = 'device_id, activation_code, expires_at';

/** Who is to be on the activation broker, by the database: the devices whose time is not over. */
@Injectable()
export class ActivationPrincipals implements PrincipalSource {
  constructor(
    private readonly dataSource: DataSource,
    private readonly clock: Clock,
  ) {}

  async load(keys: readonly PrincipalKey[]): Promise<readonly Principal[]> {
    return this.read('device_id = ANY($2)', [keys.map(({ id }) => id)]);
  }

  async *all(): AsyncIterable<Principal> {
    let after = '';
    for (;;) {
      const page = await this.read('device_id > $2 ORDER BY device_id LIMIT $3', [after, pageSize]);
      yield* page;
      if (page.length < pageSize) return;
      after = page.at(-1)?.id ?? after;
    }
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
