import { writeAudit } from '@mqtt2go/audit';
import { BrokerCopy, Clock } from '@mqtt2go/ports';
import type { BrokerData } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schema } from '../schema.js';
import { RelocationSecrets } from './relocation-secrets.js';

export interface RelocatedDevice {
  readonly deviceId: string;
  readonly activationCode: string;
  /** PEM: certificate and chain. */
  readonly deviceCertificate: string;
}

interface Row {
  readonly device_id: string;
  readonly sealed: Buffer;
  readonly broker_host: string;
  readonly broker_port: number;
}

const actor = { kind: 'service', id: 'federation' } as const;

/**
 * Devices whose homes have moved, for those that find neither their old broker nor a gateway: they come as to an activation,
 * and are told where their home is, with the certificate that they have. There is nothing secret in the answer.
 */
@Injectable()
export class Relocations {
  constructor(
    private readonly dataSource: DataSource,
    private readonly copy: BrokerCopy,
    private readonly secrets: RelocationSecrets,
    private readonly clock: Clock,
  ) {}

  /** In force when it resolves; takes the place of what was said before. @throws Mqtt2goError `unavailable` */
  async add(
    homeId: string,
    broker: { readonly host: string; readonly port: number },
    expiresAt: string,
    devices: readonly RelocatedDevice[],
  ): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      for (const { deviceId, ...secret } of devices) {
        await manager.query(
          `INSERT INTO discovery.relocation (device_id, home_id, code_hash, sealed, broker_host, broker_port, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7)
           ON CONFLICT (device_id) DO UPDATE SET home_id = excluded.home_id, code_hash = excluded.code_hash,
             sealed = excluded.sealed, broker_host = excluded.broker_host, broker_port = excluded.broker_port,
             expires_at = excluded.expires_at`,
          [
            deviceId,
            homeId,
            this.secrets.hash(secret.activationCode),
            this.secrets.seal(deviceId, secret),
            broker.host,
            broker.port,
            expiresAt,
          ],
        );
      }
      const details = { broker: `${broker.host}:${broker.port}`, devices: devices.length };
      await writeAudit(manager, schema, [{ actor, action: 'home.relocated', homeId, details }]);
    });
    await this.copy.sync(devices.map(({ deviceId }) => ({ kind: 'activation', id: deviceId })));
  }

  /** Those of other homes stay. @throws Mqtt2goError `unavailable` */
  async forget(homeId: string, deviceIds: readonly string[]): Promise<void> {
    await this.dataSource.query(
      'DELETE FROM discovery.relocation WHERE home_id = $1 AND device_id = ANY($2::varchar[])',
      [homeId, deviceIds],
    );
    await this.copy.sync(deviceIds.map((id) => ({ kind: 'activation', id })));
  }

  /** What the device with this code is told; undefined if it is none that was relocated. */
  async byCode(activationCode: string): Promise<{ deviceId: string; answer: BrokerData } | undefined> {
    const [row] = await this.dataSource.query<Row[]>(
      `SELECT device_id, sealed, broker_host, broker_port FROM discovery.relocation
       WHERE code_hash = $1 AND expires_at > $2 LIMIT 1`,
      [this.secrets.hash(activationCode), new Date(this.clock.now())],
    );
    if (row === undefined) return undefined;
    const { deviceCertificate } = this.secrets.open(row.device_id, row.sealed);
    const { broker_host: brokerHost, broker_port: brokerPort } = row;
    return { deviceId: row.device_id, answer: { kind: 'broker-data', brokerHost, brokerPort, deviceCertificate } };
  }

  /** Removes what has expired; the broker refuses it by then. */
  async sweep(): Promise<void> {
    await this.dataSource.query('/* background */ DELETE FROM discovery.relocation WHERE expires_at <= $1', [
      new Date(this.clock.now()),
    ]);
  }
}
