import type { ControllerPrincipal, DevicePrincipal, Principal, PrincipalKey } from '@mqtt2go/access';
import type { PrincipalSource } from '@mqtt2go/ports';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ControllerSecrets } from '../controllers/controller-secrets.js';

const pageSize = 1_000;

interface DeviceRow {
  readonly device_id: string;
  readonly home_id: string;
  readonly gateway_id: string;
  readonly device_type: string;
  readonly serial_numbers: string[] | null;
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
}

const selectDevices = `
  SELECT d.device_id, d.home_id, d.gateway_id, d.device_type,
    (SELECT array_agg(c.serial_number ORDER BY c.serial_number)
      FROM topic_generator.device_certificate c
      WHERE c.device_id = d.device_id AND c.dropped_at IS NULL) AS serial_numbers
  FROM topic_generator.device d`;

const selectControllers = `
  SELECT username, home_id, gateway_id, role, password_iterations, password_salt, password_hash, password_sealed
  FROM topic_generator.controller`;

/** Who is to be on the home broker, by the database: devices that have a certificate, and controllers. */
@Injectable()
export class HomePrincipals implements PrincipalSource {
  constructor(
    private readonly dataSource: DataSource,
    private readonly secrets: ControllerSecrets,
  ) {}

  async load(keys: readonly PrincipalKey[]): Promise<readonly Principal[]> {
    const deviceIds = keys.flatMap(({ kind, id }) => (kind === 'device' ? [id] : []));
    const usernames = keys.flatMap(({ kind, id }) => (kind === 'controller' ? [id] : []));
    const devices = deviceIds.length === 0 ? [] : await this.devices('d.device_id = ANY($1)', [deviceIds]);
    const controllers = usernames.length === 0 ? [] : await this.controllers('username = ANY($1)', [usernames]);
    return [...devices.filter(mayCome), ...controllers];
  }

  async *all(): AsyncIterable<Principal> {
    let after = '';
    for (;;) {
      const page = await this.devices('d.device_id > $1 ORDER BY d.device_id LIMIT $2', [after, pageSize]);
      yield* page.filter(mayCome);
      if (page.length < pageSize) break;
      after = page.at(-1)?.id ?? after;
    }
    after = '';
    for (;;) {
      const page = await this.controllers('username > $1 ORDER BY username LIMIT $2', [after, pageSize]);
      yield* page;
      if (page.length < pageSize) break;
      after = page.at(-1)?.id ?? after;
    }
  }

  private async devices(condition: string, parameters: unknown[]): Promise<DevicePrincipal[]> {
    const rows = await this.dataSource.query<DeviceRow[]>(`${selectDevices} WHERE ${condition}`, parameters);
    return rows.map((row) => ({
      kind: 'device',
      id: row.device_id,
      homeId: row.home_id,
      gatewayId: row.gateway_id,
      deviceType: row.device_type,
      certificateSerials: row.serial_numbers ?? [],
    }));
  }

  private async controllers(condition: string, parameters: unknown[]): Promise<ControllerPrincipal[]> {
    const rows = await this.dataSource.query<ControllerRow[]>(`${selectControllers} WHERE ${condition}`, parameters);
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
      ...(row.password_sealed && { secret: this.secrets.open(row.username, row.password_sealed) }),
    }));
  }
}

/** A device all of whose certificates were dropped keeps its home, but has nothing to come with. */
function mayCome(device: DevicePrincipal): boolean {
  return device.certificateSerials.length > 0;
}
