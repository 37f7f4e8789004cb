import { homeOfAuthority, publicKeyHash, readCertificate, splitPem } from '@mqtt2go/pki';
import type { PrincipalLocks } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import type { HomeBroker, HomeBrokers } from './home-brokers.js';
import { type HomePrincipalsOptions, principalsOf } from './home-principals.js';

export interface GatewayName {
  readonly homeId: string;
  readonly gatewayId: string;
}

export interface GatewayTrustOptions {
  /** All home brokers; those that keep trust are told. */
  readonly brokers: readonly HomeBroker[];
  /** Where there are other processes. */
  readonly locks: PrincipalLocks | undefined;
  readonly log: Logger;
}

const intervalMs = 30_000;

/**
 * The CAs of homes' gateways, and the home brokers that trust them: each those of the homes that have devices on it, and no
 * others.
 */
export class GatewayTrust implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly brokers: readonly HomeBroker[];
  /** One update at a time: each reads the table when its turn comes, so the last one has it all. */
  private updates: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly homeBrokers: HomeBrokers,
    private readonly options: GatewayTrustOptions,
  ) {
    this.brokers = options.brokers.filter(({ keepsTrust }) => keepsTrust === true);
  }

  onApplicationBootstrap(): void {
    if (this.brokers.length === 0) return;
    const look = (): void => {
      this.tellBrokers().catch((error: unknown) => {
        this.options.log.warn({ err: error }, 'home brokers could not be told which gateways to trust; trying again');
      });
    };
    this.timer = setInterval(look, intervalMs);
    look();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.updates;
  }

  /**
   * @param authority PEM: the gateway's CA for devices; of a key that is known it takes the place of the one before
   * @throws Mqtt2goError `malformed_message` unless it is a CA that is confined to this home
   */
  async trust({ homeId, gatewayId }: GatewayName, authority: string): Promise<void> {
    const isOne = splitPem(authority).length === 1;
    if (!isOne || homeOfAuthority(authority) !== homeId) {
      throw new Mqtt2goError('malformed_message', 'The certificate is not that of a CA of the home.');
    }
    const { isAuthority, publicKey } = readCertificate(authority);
    if (!isAuthority) throw new Mqtt2goError('malformed_message', 'The certificate is not that of a CA.');
    await this.dataSource.query(
      `INSERT INTO topic_generator.gateway_authority (home_id, gateway_id, key_hash, certificate) VALUES ($1, $2, $3, $4)
       ON CONFLICT (home_id, gateway_id, key_hash) DO UPDATE SET certificate = excluded.certificate`,
      [homeId, gatewayId, publicKeyHash(publicKey).toString('hex'), authority],
    );
    await this.tellBrokers();
    await this.tellOfDevices(homeId);
  }

  /**
   * Of a gateway that was turned away. A broker that has met one of its devices goes on taking its certificates until that is
   * started again, and lets who comes with one do nothing.
   */
  async distrust({ homeId, gatewayId }: GatewayName): Promise<void> {
    await this.dataSource.query(
      'DELETE FROM topic_generator.gateway_authority WHERE home_id = $1 AND gateway_id = $2',
      [homeId, gatewayId],
    );
    await this.tellBrokers();
    await this.tellOfDevices(homeId);
  }

  /** With certificates of their home's gateway they come by names that are good for as long as that is trusted. */
  private async tellOfDevices(homeId: string): Promise<void> {
    const keys = await principalsOf(this.dataSource, homeId);
    await this.homeBrokers.sync(
      homeId,
      keys.filter(({ kind }) => kind === 'device'),
    );
  }

  /** @throws Mqtt2goError `unavailable` where a broker's folder cannot be written */
  async tellBrokers(): Promise<void> {
    if (this.brokers.length === 0) return;
    const { locks } = this.options;
    const tell = async (): Promise<void> => {
      for (const { name, admin } of this.brokers) {
        const isFirst = name === this.options.brokers[0]?.name;
        await admin.setTrustAnchors(await anchorsOf(this.dataSource, { broker: name, isFirst }));
      }
    };
    const update = this.updates.then(() => locks?.hold(['trust anchors'], tell) ?? tell());
    this.updates = update.catch(() => undefined);
    await update;
  }
}

/** PEM: the CAs of the gateways of homes that have devices on this broker. One that only is bridged to it is not trusted. */
export async function anchorsOf(
  dataSource: DataSource,
  { broker, isFirst }: HomePrincipalsOptions,
): Promise<readonly string[]> {
  const rows = await dataSource.query<{ certificate: string }[]>(
    `SELECT a.certificate FROM topic_generator.gateway_authority a JOIN topic_generator.home h USING (home_id)
     WHERE (h.broker = $1 OR $2 AND h.broker IS NULL)
       AND EXISTS (SELECT FROM topic_generator.device d WHERE d.home_id = h.home_id)
     ORDER BY a.home_id, a.gateway_id, a.key_hash`,
    [broker, isFirst],
  );
  return rows.map(({ certificate }) => certificate);
}
