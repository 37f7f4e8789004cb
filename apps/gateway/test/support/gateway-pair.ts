import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { GatewayIdentity } from '@mqtt2go/federation';
import { moving, type MoveView } from '@mqtt2go/messaging';
import {
  Authority,
  certificateFingerprint,
  generateKeys,
  ISSUING_AUTHORITY_VALIDITY_MS,
  privateKeyDer,
  readCertificate,
  readPrivateKeyDer,
  SecretBox,
  writePrivateKey,
} from '@mqtt2go/pki';
import { createTestDatabase, waitFor } from '@mqtt2go/testing';
import pg from 'pg';
import type { PlatformOptions } from '../../src/index.js';
import { World } from './world.js';

/** A cloud and a gateway that is enrolled at it: two platforms under one root, each with a database of its own. */
export class GatewayPair {
  readonly homeId = `home-${randomBytes(3).toString('hex')}`;
  readonly gatewayId = 'gw';

  /** What the gateway is started with. */
  gatewaySide: { readonly identity: GatewayIdentity };

  private constructor(
    readonly cloud: World,
    readonly gateway: World,
  ) {}

  static async create(options: PlatformOptions = {}): Promise<GatewayPair> {
    const cloud = await World.create();
    const gateway = await World.create({}, await createTestDatabase());
    const pair = new GatewayPair(cloud, gateway);
    await gateway.halt();
    pair.gatewaySide = { identity: await pair.enrol() };
    await gateway.resume({ ...options, gateway: pair.gatewaySide });
    await gateway.trust(gateway.manufacturer);
    await gateway.trust(cloud.manufacturer);
    await cloud.trust(gateway.manufacturer);
    return pair;
  }

  async close(): Promise<void> {
    await this.gateway.close();
    await this.cloud.close();
  }

  async move(to: 'remote' | 'local'): Promise<MoveView> {
    return this.gateway.operator.call(moving.moveHome, { to }, { retries: 0 });
  }

  /** The newest move, once it is as wanted. */
  async until(wanted: (move: MoveView) => boolean, timeoutMs = 30_000): Promise<MoveView> {
    let latest: MoveView | undefined;
    try {
      return await waitFor(
        async () => {
          const { move } = await this.gateway.operator.call(moving.getHomeMove, {}).catch(() => ({ move: undefined }));
          latest = move ?? latest;
          return move !== undefined && wanted(move) ? move : undefined;
        },
        'the move',
        timeoutMs,
      );
    } catch (error) {
      throw new Error(`the move did not get there: ${JSON.stringify(latest)}`, { cause: error });
    }
  }

  async ended(timeoutMs?: number): Promise<MoveView> {
    return this.until(({ state }) => state === 'moved' || state === 'rolled-back', timeoutMs);
  }

  /** As enrolling does: the gateway's CAs below the cloud's root, and a certificate for the door. */
  private async enrol(): Promise<GatewayIdentity> {
    const { homeId, gatewayId, cloud, gateway } = this;
    const nowMs = Date.now();
    const root = await authorityOf(cloud, 'root');
    const keys = { issuing: await generateKeys(), server: await generateKeys(), identity: await generateKeys() };
    const ca = (use: 'devices' | 'servers', commonName: string, publicKey: (typeof keys)['issuing']['publicKey']) =>
      use === 'devices'
        ? root.authority.issueGatewayAuthority({ use, homeId, commonName, publicKey, nowMs }).pem
        : root.authority.issueAuthority({ commonName, publicKey, nowMs, validityMs: ISSUING_AUTHORITY_VALIDITY_MS, pathLength: 0 }).pem;
    const box = await boxOf(gateway);
    await inDatabase(gateway, async (client) => {
      const put = async (role: string, certificate: string, key: Uint8Array): Promise<void> => {
        await client.query('UPDATE certificate_authority.authority_certificate SET certificate = $2 WHERE role = $1', [
          role,
          certificate,
        ]);
        await client.query('UPDATE certificate_authority.sealed_secret SET sealed = $2 WHERE name = $1', [
          `authority/${role}`,
          Buffer.from(box.seal(`authority/${role}`, key)),
        ]);
      };
      await put('root', root.authority.certificate, root.key);
      await put('issuing', ca('devices', 'Gateway Device CA', keys.issuing.publicKey), privateKeyDer(keys.issuing.privateKey));
      await put('server', ca('servers', 'Gateway Server CA', keys.server.publicKey), privateKeyDer(keys.server.privateKey));
    });
    await rm(join(gateway.dataDir, 'tls'), { recursive: true, force: true });

    const identity = root.authority.issueGateway({ homeId, gatewayId, publicKey: keys.identity.publicKey, nowMs });
    await inDatabase(cloud, async (client) => {
      await client.query(
        `INSERT INTO federation.gateway (home_id, gateway_id, token_hash, invited_at, invited_until, enrolled_at)
         VALUES ($1, $2, $3, now(), now(), now())`,
        [homeId, gatewayId, randomBytes(32)],
      );
      await client.query(
        `INSERT INTO federation.gateway_certificate (fingerprint, home_id, gateway_id, serial_number, not_after)
         VALUES ($1, $2, $3, $4, $5)`,
        [
          certificateFingerprint(identity.pem),
          homeId,
          gatewayId,
          identity.serialNumber,
          new Date(readCertificate(identity.pem).notAfterMs),
        ],
      );
    });
    return {
      homeId,
      gatewayId,
      cloudUrl: `https://localhost:${cloud.platform.file.ports.federation}`,
      ca: root.authority.certificate,
      cert: identity.pem,
      key: writePrivateKey(keys.identity.privateKey),
    };
  }
}

async function boxOf(world: World): Promise<SecretBox> {
  return new SecretBox((await readFile(join(world.dataDir, 'secrets', 'encryption.key'), 'utf8')).trim());
}

async function authorityOf(world: World, role: string): Promise<{ authority: Authority; key: Uint8Array }> {
  const box = await boxOf(world);
  return inDatabase(world, async (client) => {
    const certificate = await client.query<{ certificate: string }>(
      'SELECT certificate FROM certificate_authority.authority_certificate WHERE role = $1',
      [role],
    );
    const secret = await client.query<{ sealed: Buffer }>(
      'SELECT sealed FROM certificate_authority.sealed_secret WHERE name = $1',
      [`authority/${role}`],
    );
    const [row] = certificate.rows;
    const [sealed] = secret.rows;
    if (row === undefined || sealed === undefined) throw new Error(`no ${role} CA`);
    const key = box.open(`authority/${role}`, sealed.sealed);
    return { authority: new Authority(row.certificate, readPrivateKeyDer(key), []), key };
  });
}

export async function inDatabase<T>(world: World, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
