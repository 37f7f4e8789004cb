import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initialiseDeployment } from '@mqtt2go/certificate-authority';
import { localGateway } from '@mqtt2go/config';
import { federation, moving, type MoveView } from '@mqtt2go/messaging';
import { SystemClock } from '@mqtt2go/ports';
import { createTestDatabase, silentLogger, waitFor } from '@mqtt2go/testing';
import pg from 'pg';
import type { PlatformOptions } from '../../src/index.js';
import { type Identity, World } from './world.js';

export interface PairOptions extends PlatformOptions {
  /** Whether the gateway joins its broker with the cloud's; not by default. */
  readonly bridge?: boolean;
}

/** A cloud and a gateway that is enrolled at it: two platforms under one root, each with a database of its own. */
export class GatewayPair {
  private constructor(
    readonly homeId: string,
    readonly gatewayId: string,
    readonly cloud: World,
    readonly gateway: World,
  ) {}

  static async create({ bridge = false, ...options }: PairOptions = {}): Promise<GatewayPair> {
    const homeId = `home-${randomBytes(3).toString('hex')}`;
    const cloud = await World.create();
    const invited = await cloud.operator.call(federation.inviteGateway, { homeId, gatewayId: 'gw' });
    const invitation = join(await mkdtemp(join(tmpdir(), 'mqtt2go-invitation-')), 'invitation.json');
    await writeFile(invitation, JSON.stringify(invited), { mode: 0o600 });
    const gateway = await World.create(options, await createTestDatabase(), {
      profile: localGateway,
      invitation,
      bridge,
      // Its name on this machine's network is somebody else's.
      mdns: { isOn: false, interfaces: [] },
    });
    await gateway.trust(cloud.manufacturer);
    await cloud.trust(gateway.manufacturer);
    return new GatewayPair(homeId, 'gw', cloud, gateway);
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

  /** What the gateway shows at the door of its cloud, and what it trusts. */
  async identity(): Promise<Identity & { ca: string }> {
    const key = await readFile(join(this.gateway.dataDir, 'secrets', 'encryption.key'), 'utf8');
    const { gateway } = await initialiseDeployment({
      databaseUrl: this.gateway.databaseUrl,
      encryptionKey: key.trim(),
      tlsDir: await mkdtemp(join(tmpdir(), 'mqtt2go-tls-')),
      publicHost: 'localhost',
      clock: new SystemClock(),
      log: silentLogger,
    });
    if (gateway === undefined) throw new Error('the gateway is not enrolled');
    return gateway;
  }

  get cloudUrl(): string {
    return `https://localhost:${this.cloud.platform.file.ports.federation}`;
  }
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

/** How a home stands with one platform. */
export async function standingAt(world: World, homeId: string): Promise<string | undefined> {
  return (await world.operator.call(moving.getHomeStanding, { homeId })).standing;
}
