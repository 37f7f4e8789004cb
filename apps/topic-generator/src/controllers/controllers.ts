import { createHash, randomBytes } from 'node:crypto';
import { type ControllerPrincipal, controllerUsername } from '@mqtt2go/access';
import { auditRow, auditRows, callerActor, insertAudit, insertAuditEach } from '@mqtt2go/audit';
import { currentCaller } from '@mqtt2go/messaging';
import { createPassword, hashPassword } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { HomeBrokers } from '../access/home-brokers.js';
import { Homes } from '../homes/homes.js';
import { schema } from '../schema.js';
import { ControllerSecrets } from './controller-secrets.js';

const suffixBytes = 9;

export interface ControllerRequest {
  readonly homeId: string;
  readonly gatewayId: string;
  /** What stands before the `@` of the user name; made up when left out. */
  readonly username?: string | undefined;
  readonly role: ControllerPrincipal['role'];
}

/** What an app needs to come to its home's broker. */
export interface NewController {
  readonly username: string;
  readonly password: string;
  /** `mqtts://…` */
  readonly url: string;
  /** `wss://…` */
  readonly webSocketUrl?: string;
}

/** The controllers (apps) of homes. Passwords are made here and told once; kept are hashes, and sealed for brokers. */
@Injectable()
export class Controllers {
  constructor(
    private readonly dataSource: DataSource,
    private readonly homes: Homes,
    private readonly secrets: ControllerSecrets,
    private readonly brokers: HomeBrokers,
  ) {}

  /**
   * Makes a controller, or gives the one of this name a new role and password (its sessions are closed).
   * Home and gateway exist from then on.
   * @throws Mqtt2goError `conflict` if the name is taken at another gateway of the home, or is one of a bridge's;
   * `home_is_moving`, `home_has_moved`; `unavailable` without the broker
   */
  async create(request: ControllerRequest): Promise<NewController> {
    if (request.username?.startsWith(bridgePrefix) === true) {
      throw new Mqtt2goError('conflict', `User names that begin with ${bridgePrefix} are those of gateways.`);
    }
    return this.make(request);
  }

  /**
   * The account by which a home's gateway connects its broker with the home's here; made if there is none. Same errors as
   * {@link create}, and `conflict` while the home lives here: its gateway has nothing to say then.
   */
  async openBridge(homeId: string, gatewayId: string): Promise<Omit<NewController, 'webSocketUrl'>> {
    if (await this.homes.livesHere(homeId)) throw new Mqtt2goError('conflict', 'The home is in the cloud itself.');
    const name = bridgeName(homeId, gatewayId);
    const username = controllerUsername(name, homeId);
    const [stored] = await this.dataSource.query<{ sealed: Buffer | null }[]>(
      `SELECT password_sealed AS sealed FROM topic_generator.controller WHERE username = $1`,
      [username],
    );
    if (stored?.sealed == null) {
      const { password, url } = await this.make({ homeId, gatewayId, username: name, role: 'bridge' });
      await this.syncAll(homeId);
      return { username, password, url };
    }
    await this.syncAll(homeId);
    const { controllerUrl: url } = await this.brokers.of(homeId);
    return { username, password: this.secrets.open(username, stored.sealed), url };
  }

  /** Its session is closed when it resolves. @throws Mqtt2goError `unavailable` without the broker */
  async closeBridge(homeId: string, gatewayId: string): Promise<void> {
    const username = controllerUsername(bridgeName(homeId, gatewayId), homeId);
    await this.dataSource.query(
      `WITH removed AS (DELETE FROM topic_generator.controller WHERE username = $1 RETURNING 1),
         audited AS (${insertAudit(schema, '$2', 'removed')})
       SELECT 1 FROM removed`,
      [
        username,
        auditRows([
          {
            actor: callerActor(currentCaller(), 'federation'),
            action: 'controller.removed',
            homeId,
            details: { username, gatewayId },
          },
        ]),
      ],
    );
    // Asked again it may be that the broker alone has not been told.
    await this.brokers
      .sync(homeId, [{ kind: 'controller', id: username }])
      .then(() => this.syncAll(homeId))
      .catch((error: unknown) => {
        if (!(error instanceof Mqtt2goError) || error.code !== 'unknown_home') throw error;
      });
  }

  /** Whether the others reach a home that lives at its gateway depends on its bridge. */
  private async syncAll(homeId: string): Promise<void> {
    const rows = await this.dataSource.query<{ username: string }[]>(
      'SELECT username FROM topic_generator.controller WHERE home_id = $1',
      [homeId],
    );
    await this.brokers.sync(
      homeId,
      rows.map(({ username: id }) => ({ kind: 'controller', id })),
    );
  }

  private async make(request: ControllerRequest): Promise<NewController> {
    const { homeId, gatewayId, role, username: name = createName() } = request;
    const username = controllerUsername(name, homeId);
    const password = createPassword();
    const { iterations, salt, hash } = await hashPassword(password);
    await this.dataSource.transaction(async (manager) => {
      // A bridge is no part of the home: it reaches the home that is elsewhere.
      if (role !== 'bridge') await this.homes.requireChangeable(manager, homeId);
      await this.homes.ensureGateway(manager, homeId, gatewayId, role === 'bridge');
      const stored = await manager.query<unknown[]>(
        `WITH stored AS (
         INSERT INTO topic_generator.controller AS c
           (username, home_id, gateway_id, role, password_iterations, password_salt, password_hash, password_sealed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (username) DO UPDATE
           SET role = excluded.role, password_iterations = excluded.password_iterations,
             password_salt = excluded.password_salt, password_hash = excluded.password_hash,
             password_sealed = excluded.password_sealed
           WHERE c.gateway_id = excluded.gateway_id
         RETURNING xmax = 0 AS is_new
         ), audited AS (${insertAuditEach(
           schema,
           '$9',
           'stored',
           `CASE WHEN is_new THEN '{"action":"controller.created"}'::jsonb ELSE '{}'::jsonb END`,
         )})
         SELECT 1 FROM stored`,
        [
          username,
          homeId,
          gatewayId,
          role,
          iterations,
          salt,
          hash,
          this.secrets.seal(username, password),
          auditRow({
            actor: callerActor(currentCaller(), 'operator'),
            action: 'controller.password-replaced',
            homeId,
            details: { username, gatewayId, role },
          }),
        ],
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
    await this.brokers.sync(
      homeId,
      [username, name].map((id) => ({ kind: 'controller', id })),
    );
    const { controllerUrl: url, controllerWebSocketUrl: webSocketUrl } = await this.brokers.of(homeId);
    return { username, password, url, ...(webSocketUrl === undefined ? {} : { webSocketUrl }) };
  }
}

const bridgePrefix = 'bridge.';

/** One for each gateway, of a length that a name may have. */
function bridgeName(homeId: string, gatewayId: string): string {
  return `${bridgePrefix}${createHash('sha256').update(`${homeId}/${gatewayId}`).digest('hex').slice(0, 32)}`;
}

function createName(): string {
  return `app.${randomBytes(suffixBytes).toString('base64url')}`;
}
