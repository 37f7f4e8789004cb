import { randomBytes } from 'node:crypto';
import { type ControllerPrincipal, controllerUsername } from '@mqtt2go/access';
import { createPassword, hashPassword } from '@mqtt2go/pki';
import { BrokerCopy } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Homes } from '../homes/homes.js';
import { ControllerSecrets } from './controller-secrets.js';

const suffixBytes = 9;

export interface ControllerRequest {
  readonly homeId: string;
  readonly gatewayId: string;
  /** What stands before the `@` of the user name; made up when left out. */
  readonly username?: string | undefined;
  readonly role: ControllerPrincipal['role'];
}

/** The controllers (apps) of homes. Passwords are made here and told once; kept are hashes, and sealed for brokers. */
@Injectable()
export class Controllers {
  constructor(
    private readonly dataSource: DataSource,
    private readonly homes: Homes,
    private readonly secrets: ControllerSecrets,
    private readonly copy: BrokerCopy,
  ) {}

  /**
   * Makes a controller, or gives the one of this name a new role and password (its sessions are closed).
   * Home and gateway exist from then on.
   * @throws Mqtt2goError `conflict` if the name is taken at another gateway of the home; `unavailable` without the
   * broker
   */
  async create(request: ControllerRequest): Promise<{ username: string; password: string }> {
    const { homeId, gatewayId, role, username: name = createName() } = request;
    const username = controllerUsername(name, homeId);
    const password = createPassword();
    const { iterations, salt, hash } = await hashPassword(password);
    await this.dataSource.transaction(async (manager) => {
      await this.homes.ensureGateway(manager, homeId, gatewayId);
      const stored = await manager.query<unknown[]>(
        `INSERT INTO topic_generator.controller AS c
           (username, home_id, gateway_id, role, password_iterations, password_salt, password_hash, password_sealed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (username) DO UPDATE
           SET role = excluded.role, password_iterations = excluded.password_iterations,
             password_salt = excluded.password_salt, password_hash = excluded.password_hash,
             password_sealed = excluded.password_sealed
           WHERE c.gateway_id = excluded.gateway_id
         RETURNING 1`,
        [username, homeId, gatewayId, role, iterations, salt, hash, this.secrets.seal(username, password)],
      );
      if (stored.length === 0) {
        throw new Mqtt2goError('conflict', `The user name ${username} is taken by a controller of another gateway.`);
      }
      // One of before user names had their home in them would go on with the old password beside the new one.
      await manager.query(
        'DELETE FROM topic_generator.controller WHERE username = $1 AND home_id = $2 AND gateway_id = $3',
        [name, homeId, gatewayId],
      );
    });
    await this.copy.sync([username, name].map((id) => ({ kind: 'controller', id })));
    return { username, password };
  }
}

function createName(): string {
  return `app.${randomBytes(suffixBytes).toString('base64url')}`;
}
