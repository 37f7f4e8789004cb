import { randomBytes } from 'node:crypto';
import type { ControllerPrincipal } from '@mqtt2go/access';
import { createPassword, hashPassword } from '@mqtt2go/pki';
import { BrokerCopy } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Homes } from '../homes/homes.js';

/** The longest user name that every broker's copy takes, as long as any identifier. */
const maxUsernameLength = 64;
const suffixBytes = 9;

export interface ControllerRequest {
  readonly homeId: string;
  readonly gatewayId: string;
  /** Made up from the home's id when left out. */
  readonly username?: string | undefined;
  readonly role: ControllerPrincipal['role'];
}

/** The controllers (apps) of homes. Passwords are made here, told once, and kept as hashes. */
@Injectable()
export class Controllers {
  constructor(
    private readonly dataSource: DataSource,
    private readonly homes: Homes,
    private readonly copy: BrokerCopy,
  ) {}

  /**
   * Makes a controller, or gives the one of this name a new role and password (its sessions are closed).
   * Home and gateway exist from then on.
   * @throws Mqtt2goError `conflict` if the name is taken in another home or at another gateway; `unavailable`
   * without the broker
   */
  async create(request: ControllerRequest): Promise<{ username: string; password: string }> {
    const { homeId, gatewayId, role, username = usernameFor(homeId) } = request;
    const password = createPassword();
    const { iterations, salt, hash } = await hashPassword(password);
    await this.dataSource.transaction(async (manager) => {
      await this.homes.ensureGateway(manager, homeId, gatewayId);
      const stored = await manager.query<unknown[]>(
        `INSERT INTO topic_generator.controller AS c
           (username, home_id, gateway_id, role, password_iterations, password_salt, password_hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (username) DO UPDATE
           SET role = excluded.role, password_iterations = excluded.password_iterations,
             password_salt = excluded.password_salt, password_hash = excluded.password_hash
           WHERE c.home_id = excluded.home_id AND c.gateway_id = excluded.gateway_id
         RETURNING 1`,
        [username, homeId, gatewayId, role, iterations, salt, hash],
      );
      if (stored.length === 0) {
        throw new Mqtt2goError('conflict', `The user name ${username} is taken by a controller of another home.`);
      }
    });
    await this.copy.sync([{ kind: 'controller', id: username }]);
    return { username, password };
  }
}

function usernameFor(homeId: string): string {
  const suffix = randomBytes(suffixBytes).toString('base64url');
  return `${homeId.slice(0, maxUsernameLength - suffix.length - 1)}.${suffix}`;
}
