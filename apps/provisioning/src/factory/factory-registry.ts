import { createPublicKey } from 'node:crypto';
import { auditRows, insertAudit } from '@mqtt2go/audit';
import { currentCaller, type FactoryRecord, provisioning } from '@mqtt2go/messaging';
import { Injectable } from '@nestjs/common';
import { DataSource, In } from 'typeorm';
import { z } from 'zod';
import { ActivationCodes } from './activation-codes.js';
import { schema } from '../schema.js';
import { FactoryDevice } from './factory-device.entity.js';

export interface ImportResult {
  readonly imported: number;
  /** By their place in what was given. */
  readonly rejected: { index: number; reason: string }[];
}

/** What manufacturers have told of their devices. */
@Injectable()
export class FactoryRegistry {
  constructor(
    private readonly dataSource: DataSource,
    private readonly codes: ActivationCodes,
  ) {}

  async find(deviceId: string): Promise<FactoryDevice | undefined> {
    return (await this.dataSource.getRepository(FactoryDevice).findOneBy({ deviceId })) ?? undefined;
  }

  /** PEM SubjectPublicKeyInfo of the pre-loaded certificate, if the record has it. */
  async publicKeyOf(deviceId: string): Promise<string | undefined> {
    return (await this.find(deviceId))?.publicKey ?? undefined;
  }

  /** Adds or replaces records in one statement; of two for the same device the last counts. Bad ones are named. */
  async import(records: readonly unknown[]): Promise<ImportResult> {
    const rejected: { index: number; reason: string }[] = [];
    const taken = new Map<string, FactoryRecord>();
    let imported = 0;
    for (const [index, record] of records.entries()) {
      const reading = readRecord(record);
      if (typeof reading === 'string') {
        rejected.push({ index, reason: reading });
      } else {
        taken.set(reading.device_id, reading);
        imported += 1;
      }
    }
    if (taken.size > 0) await this.upsert([...taken.values()]);
    return { imported, rejected };
  }

  /** Records, codes in clear, of those devices whose code was kept. */
  async tell(deviceIds: readonly string[]): Promise<FactoryRecord[]> {
    const rows = await this.dataSource.getRepository(FactoryDevice).findBy({ deviceId: In([...deviceIds]) });
    return rows.flatMap(({ deviceId, deviceType, keyMode, publicKey, activationCodeSealed }) =>
      activationCodeSealed === null
        ? []
        : {
            device_id: deviceId,
            activation_code: this.codes.open(deviceId, activationCodeSealed),
            device_type: deviceType,
            key_mode: keyMode,
            ...(publicKey === null ? {} : { public_key: publicKey }),
          },
    );
  }

  /** Adds records of devices that are not known here; those that are stay as they are. */
  async add(records: readonly FactoryRecord[]): Promise<void> {
    const known = await this.dataSource
      .getRepository(FactoryDevice)
      .findBy({ deviceId: In(records.map(({ device_id }) => device_id)) });
    const unknown = records.filter(({ device_id }) => !known.some(({ deviceId }) => deviceId === device_id));
    if (unknown.length > 0) await this.upsert(unknown);
  }

  private async upsert(records: readonly FactoryRecord[]): Promise<void> {
    await this.dataSource.query(
      `WITH imported AS (
       INSERT INTO factory_device AS stored (device_id, device_type, activation_code_hash, key_mode, public_key,
         activation_code_sealed)
       SELECT * FROM unnest($1::varchar[], $2::varchar[], $3::bytea[], $4::varchar[], $5::text[], $7::bytea[])
       ON CONFLICT (device_id) DO UPDATE SET
         device_type = excluded.device_type, activation_code_hash = excluded.activation_code_hash,
         key_mode = excluded.key_mode, public_key = excluded.public_key,
         activation_code_sealed = excluded.activation_code_sealed
       WHERE stored.activation_code_sealed IS NULL OR (stored.device_type, stored.activation_code_hash, stored.key_mode, stored.public_key)
         IS DISTINCT FROM (excluded.device_type, excluded.activation_code_hash, excluded.key_mode, excluded.public_key)
       RETURNING 1), audited AS (${insertAudit(schema, '$6', 'imported')})
       SELECT 1 FROM imported LIMIT 1`,
      [
        records.map((record) => record.device_id),
        records.map((record) => record.device_type),
        records.map((record) => this.codes.hash(record.device_id, record.activation_code)),
        records.map((record) => record.key_mode),
        records.map((record) => record.public_key ?? null),
        auditRows([
          {
            actor: { kind: 'operator', id: currentCaller() ?? 'operator' },
            action: 'factory.imported',
            deviceId: records.length === 1 ? records[0]?.device_id : undefined,
            details: { records: records.length },
          },
        ]),
        records.map((record) => this.codes.seal(record.device_id, record.activation_code)),
      ],
    );
  }
}

/** The record, or what is wrong with it. */
function readRecord(record: unknown): FactoryRecord | string {
  const parsed = provisioning.factoryRecord.safeParse(record);
  if (!parsed.success) return z.prettifyError(parsed.error).replaceAll(/\s+/g, ' ');
  const { key_mode: keyMode, public_key: publicKey } = parsed.data;
  if (publicKey === undefined) {
    return keyMode === 'existing-key' ? 'public_key is needed in the key mode existing-key' : parsed.data;
  }
  return isPublicKey(publicKey) ? parsed.data : 'public_key is not a PEM SubjectPublicKeyInfo';
}

function isPublicKey(pem: string): boolean {
  if (!pem.trimStart().startsWith('-----BEGIN PUBLIC KEY-----')) return false;
  try {
    return createPublicKey(pem).type === 'public';
  } catch {
    return false;
  }
}
