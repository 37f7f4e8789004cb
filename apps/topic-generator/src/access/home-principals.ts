import type { ControllerPrincipal, DevicePrincipal, Principal, PrincipalKey } from '@mqtt2go/access';
import { type StandingRule, standingRule } from '@mqtt2go/moving';
import type { PrincipalSource } from '@mqtt2go/ports';
import { homeStandingNames } from '@mqtt2go/protocol';
import type { DataSource } from 'typeorm';
import type { ControllerSecrets } from '../controllers/controller-secrets.js';

const pageSize = 1_000;

interface DeviceRow {
  readonly device_id: string;
  readonly home_id: string;
  readonly gateway_id: string;
  readonly device_type: string;
  readonly serial_numbers: string[] | null;
  readonly has_moved: boolean;
  readonly trusts_gateway: boolean;
}

interface ControllerRow {
  readonly username: string;
  readonly home_id: string;
  readonly gateway_id: string;
  readonly role: ControllerPrincipal['role'];
  readonly password_iterations: number;
  readonly password_salt: string;
  readonly password_hash: string;
  readonly password_sealed: Buffer | null;
  readonly has_moved: boolean;
}

/** A standing of a home, as `serves` of libs/moving has them, in SQL. */
const serving = (...kinds: StandingRule['serves'][]): string =>
  `h.standing IN (${homeStandingNames
    .filter((name) => kinds.includes(standingRule(name).serves))
    .map((name) => `'${name}'`)
    .join(', ')})`;

const selectDevices = `
  SELECT d.device_id, home_id, d.gateway_id, d.device_type, ${serving('told')} AS has_moved,
    EXISTS (SELECT FROM topic_generator.gateway_authority a WHERE a.home_id = d.home_id) AS trusts_gateway,
    (SELECT array_agg(c.serial_number ORDER BY c.serial_number)
      FROM topic_generator.device_certificate c
      WHERE c.device_id = d.device_id AND c.dropped_at IS NULL) AS serial_numbers
  FROM topic_generator.device d JOIN topic_generator.home h USING (home_id)`;

/** Through its gateway's bridge a home can be reached wherever its devices are. */
const isBridged = `EXISTS (
  SELECT FROM topic_generator.controller b WHERE b.home_id = h.home_id AND b.role = 'bridge')`;

const selectControllers = `
  SELECT username, home_id, gateway_id, role, password_iterations, password_salt, password_hash, password_sealed,
    NOT ${serving('everybody')} AND NOT ${isBridged} AS has_moved
  FROM topic_generator.controller JOIN topic_generator.home h USING (home_id)`;

/**
 * A home that has not been placed yet is on the first broker. Of one that arrives for the first time nobody is let in, as
 * there is nothing yet to be told.
 */
const isHere = `($1 = h.broker OR $2 AND h.broker IS NULL)
  AND (${serving('everybody')} OR h.moved_to_host IS NOT NULL)`;
const mayBeReached = `($1 = h.broker OR $2 AND h.broker IS NULL)
  AND (${serving('everybody')} OR h.moved_to_host IS NOT NULL OR username = ANY(h.hosted))`;

export interface HomePrincipalsOptions {
  /** The name of the home broker. */
  readonly broker: string;
  /** Whether it is the first of them. */
  readonly isFirst: boolean;
}

/** Who is to be on a home broker, by the database: devices that have a certificate, and controllers, of its homes. */
export class HomePrincipals implements PrincipalSource {
  /** @param secrets what opens controllers' passwords; without it they come with their hashes alone */
  constructor(
    private readonly dataSource: DataSource,
    private readonly secrets: ControllerSecrets | undefined,
    private readonly options: HomePrincipalsOptions,
  ) {}

  async load(keys: readonly PrincipalKey[]): Promise<readonly Principal[]> {
    const deviceIds = keys.flatMap(({ kind, id }) => (kind === 'device' ? [id] : []));
    const usernames = keys.flatMap(({ kind, id }) => (kind === 'controller' ? [id] : []));
    const devices = deviceIds.length === 0 ? [] : await this.devices('d.device_id = ANY($3)', [deviceIds]);
    const controllers = usernames.length === 0 ? [] : await this.controllers('username = ANY($3)', [usernames]);
    return [...devices.filter(mayCome), ...controllers];
  }

  async *all(): AsyncIterable<Principal> {
    let after = '';
    for (;;) {
      const page = await this.devices('d.device_id > $3 ORDER BY d.device_id LIMIT $4', [after, pageSize]);
      yield* page.filter(mayCome);
      if (page.length < pageSize) break;
      after = page.at(-1)?.id ?? after;
    }
    after = '';
    for (;;) {
      const page = await this.controllers('username > $3 ORDER BY username LIMIT $4', [after, pageSize]);
      yield* page;
      if (page.length < pageSize) break;
      after = page.at(-1)?.id ?? after;
    }
  }

  private async devices(condition: string, parameters: unknown[]): Promise<DevicePrincipal[]> {
    const rows = await this.read<DeviceRow>(selectDevices, isHere, condition, parameters);
    return rows.map((row) => ({
      kind: 'device',
      id: row.device_id,
      homeId: row.home_id,
      gatewayId: row.gateway_id,
      deviceType: row.device_type,
      certificateSerials: row.serial_numbers ?? [],
      ...(row.trusts_gateway && { trustsGateway: true }),
      ...(row.has_moved && { hasMoved: true }),
    }));
  }

  private async read<Row>(
    select: string,
    place: string,
    condition: string,
    parameters: readonly unknown[],
  ): Promise<Row[]> {
    const { broker, isFirst } = this.options;
    return this.dataSource.query(`${select} WHERE ${place} AND ${condition}`, [broker, isFirst, ...parameters]);
  }

  private async controllers(condition: string, parameters: unknown[]): Promise<ControllerPrincipal[]> {
    const { secrets } = this;
    const rows = await this.read<ControllerRow>(selectControllers, mayBeReached, condition, parameters);
    return rows.map((row) => ({
      kind: 'controller',
      id: row.username,
      homeId: row.home_id,
      gatewayId: row.gateway_id,
      role: row.role,
      password: {
        algorithm: 'pbkdf2-sha512',
        iterations: row.password_iterations,
        salt: row.password_salt,
        hash: row.password_hash,
      },
      ...(secrets && row.password_sealed && { secret: secrets.open(row.username, row.password_sealed) }),
      ...(row.has_moved && { hasMoved: true }),
    }));
  }
}

/** Everybody of a home, whether its broker is told of them or not. */
export async function principalsOf(dataSource: DataSource, homeId: string): Promise<PrincipalKey[]> {
  const rows = await dataSource.query<{ kind: 'device' | 'controller'; id: string }[]>(
    `SELECT 'device' AS kind, device_id AS id FROM topic_generator.device WHERE home_id = $1
     UNION ALL SELECT 'controller', username FROM topic_generator.controller WHERE home_id = $1`,
    [homeId],
  );
  return rows.map(({ kind, id }) => ({ kind, id }));
}

/** A device all of whose certificates were dropped keeps its home, but has nothing to come with. */
function mayCome(device: DevicePrincipal): boolean {
  return device.certificateSerials.length > 0;
}
