import { type AuditEntry, auditRows, insertAudit } from '@mqtt2go/audit';
import type { EntityManager } from 'typeorm';
import { schema } from '../schema.js';
import { deviceEntry } from './device-audit.js';

/** A device's row, locked until the transaction ends. */
export interface DeviceRecord {
  readonly homeId: string;
  readonly gatewayId: string;
  readonly deviceType: string;
  readonly pendingOnboardingId: string | null;
  readonly namedOnboardingId: string | null;
}

export interface Admission {
  readonly onboardingId: string;
  readonly deviceId: string;
  readonly homeId: string;
  readonly gatewayId: string;
  readonly deviceType: string;
  /** Upper-case hex. */
  readonly serialNumber: string;
}

export interface Renewal {
  readonly deviceId: string;
  /** Upper-case hex, as `serialNumber`. */
  readonly renewedFrom: string;
  readonly serialNumber: string;
}

const deviceColumns = `
  home_id AS "homeId", gateway_id AS "gatewayId", device_type AS "deviceType",
  pending_onboarding_id AS "pendingOnboardingId", named_onboarding_id AS "namedOnboardingId"`;

/** The audit entry of an admission. */
export function admissionEntry({ deviceId, homeId, gatewayId, onboardingId, serialNumber }: Admission): AuditEntry {
  return deviceEntry('device.admitted', deviceId, { homeId, onboardingId, details: { gatewayId, serialNumber } });
}

/**
 * The statements on a device and its certificates. Each transaction locks the device's row before it
 * touches the certificates, so that two of them never wait for each other.
 */
export class DeviceRecords {
  constructor(private readonly manager: EntityManager) {}

  /** Locks the device's row, made from the admission if there was none. */
  async lockOrCreate({ deviceId, homeId, gatewayId, deviceType, onboardingId }: Admission): Promise<DeviceRecord> {
    const rows = await this.manager.query<DeviceRecord[]>(
      `INSERT INTO topic_generator.device (device_id, home_id, gateway_id, device_type, pending_onboarding_id)
       VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (device_id) DO UPDATE SET device_id = excluded.device_id
       RETURNING ${deviceColumns}`,
      [deviceId, homeId, gatewayId, deviceType, onboardingId],
    );
    const [record] = rows;
    if (record === undefined) throw new Error('an upsert returned no row');
    return record;
  }

  async lock(deviceId: string): Promise<DeviceRecord | undefined> {
    const [record] = await this.manager.query<DeviceRecord[]>(
      `SELECT ${deviceColumns} FROM topic_generator.device WHERE device_id = $1 FOR UPDATE`,
      [deviceId],
    );
    return record;
  }

  async update(deviceId: string, record: DeviceRecord): Promise<void> {
    await this.manager.query(
      `UPDATE topic_generator.device SET home_id = $2, gateway_id = $3, device_type = $4,
         pending_onboarding_id = $5, named_onboarding_id = $6
       WHERE device_id = $1`,
      [
        deviceId,
        record.homeId,
        record.gatewayId,
        record.deviceType,
        record.pendingOnboardingId,
        record.namedOnboardingId,
      ],
    );
  }

  async delete(deviceId: string): Promise<void> {
    await this.manager.query('DELETE FROM topic_generator.device WHERE device_id = $1', [deviceId]);
  }

  /** Adds the admission's certificate: `added`, or there already (`known`), or there and dropped since. */
  async addCertificate(admission: Admission, nowMs: number): Promise<'added' | 'known' | 'dropped'> {
    const { deviceId, serialNumber, onboardingId, gatewayId, deviceType } = admission;
    const added = await this.manager.query<unknown[]>(
      `WITH added AS (
         INSERT INTO topic_generator.device_certificate
           (device_id, serial_number, onboarding_id, gateway_id, device_type, admitted_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING RETURNING 1
       ), audited AS (${insertAudit(schema, '$7', 'added')})
       SELECT 1 FROM added`,
      [
        deviceId,
        serialNumber,
        onboardingId,
        gatewayId,
        deviceType,
        new Date(nowMs),
        auditRows([admissionEntry(admission)]),
      ],
    );
    if (added.length > 0) return 'added';
    return (await this.standing(deviceId, serialNumber)) === 'admitted' ? 'known' : 'dropped';
  }

  /** Adds a certificate to the admission of the one that it renews. Changes nothing unless that one is in force. */
  async addRenewal({ deviceId, serialNumber, renewedFrom }: Renewal): Promise<void> {
    await this.manager.query(
      `WITH added AS (
         INSERT INTO topic_generator.device_certificate
           (device_id, serial_number, onboarding_id, gateway_id, device_type, admitted_at)
         SELECT device_id, $3, onboarding_id, gateway_id, device_type, admitted_at
         FROM topic_generator.device_certificate
         WHERE device_id = $1 AND serial_number = $2 AND dropped_at IS NULL
         ON CONFLICT DO NOTHING RETURNING 1
       ), audited AS (${insertAudit(schema, '$4', 'added')})
       SELECT 1 FROM added`,
      [
        deviceId,
        renewedFrom,
        serialNumber,
        auditRows([deviceEntry('device.certificate-accepted', deviceId, { details: { serialNumber, renewedFrom } })]),
      ],
    );
  }

  /** What the device's certificate is to this service: in force, turned away, or never heard of. */
  async standing(deviceId: string, serialNumber: string): Promise<'admitted' | 'dropped' | 'unknown'> {
    const [certificate] = await this.manager.query<{ isDropped: boolean }[]>(
      `SELECT dropped_at IS NOT NULL AS "isDropped" FROM topic_generator.device_certificate
       WHERE device_id = $1 AND serial_number = $2`,
      [deviceId, serialNumber],
    );
    if (certificate === undefined) return 'unknown';
    return certificate.isDropped ? 'dropped' : 'admitted';
  }

  /** What the device becomes when the onboarding is completed; undefined if nothing of it is left. */
  async admissionOf(
    deviceId: string,
    onboardingId: string,
  ): Promise<Pick<Admission, 'gatewayId' | 'deviceType'> | undefined> {
    const [admission] = await this.manager.query<Pick<Admission, 'gatewayId' | 'deviceType'>[]>(
      `SELECT gateway_id AS "gatewayId", device_type AS "deviceType" FROM topic_generator.device_certificate
       WHERE device_id = $1 AND onboarding_id = $2 AND dropped_at IS NULL
       ORDER BY admitted_at DESC LIMIT 1`,
      [deviceId, onboardingId],
    );
    return admission;
  }

  /** The onboarding that the newest certificate in force was admitted in. */
  async newestAdmission(deviceId: string): Promise<string | null> {
    const [newest] = await this.manager.query<{ onboardingId: string }[]>(
      `SELECT onboarding_id AS "onboardingId" FROM topic_generator.device_certificate
       WHERE device_id = $1 AND dropped_at IS NULL ORDER BY admitted_at DESC LIMIT 1`,
      [deviceId],
    );
    return newest?.onboardingId ?? null;
  }

  /** Drops the certificates of one onboarding. Returns how many were in force. */
  async dropAdmission(deviceId: string, onboardingId: string, nowMs: number): Promise<number> {
    return this.drop('device_id = $2 AND onboarding_id = $3', [nowMs, deviceId, onboardingId]);
  }

  /** Drops the certificates of all onboardings but one. */
  async dropOthers(deviceId: string, onboardingId: string, nowMs: number): Promise<void> {
    await this.drop('device_id = $2 AND onboarding_id IS DISTINCT FROM $3', [nowMs, deviceId, onboardingId]);
  }

  async dropAll(deviceId: string, nowMs: number): Promise<void> {
    await this.drop('device_id = $2', [nowMs, deviceId]);
  }

  /** Drops certificates whether they were admitted or not: one that is not here yet can no longer come. */
  async dropSerials(deviceId: string, serialNumbers: readonly string[], nowMs: number): Promise<void> {
    await this.manager.query(
      `WITH audited AS (${insertAudit(schema, '$4')})
       INSERT INTO topic_generator.device_certificate (device_id, serial_number, dropped_at)
       SELECT $1, serial_number, $3 FROM unnest($2::varchar[]) AS serial_number ORDER BY serial_number
       ON CONFLICT (device_id, serial_number) DO UPDATE
         SET dropped_at = coalesce(device_certificate.dropped_at, excluded.dropped_at)`,
      [
        deviceId,
        [...new Set(serialNumbers)],
        new Date(nowMs),
        auditRows([deviceEntry('device.access-revoked', deviceId, { details: { serialNumbers } })]),
      ],
    );
  }

  async replaceGroups(deviceId: string, groupIds: readonly string[], homeId: string): Promise<void> {
    await this.manager.query(
      'DELETE FROM topic_generator.device_group WHERE device_id = $1 AND group_id <> ALL($2::varchar[])',
      [deviceId, groupIds],
    );
    await this.manager.query(
      `WITH audited AS (${insertAudit(schema, '$3')})
       INSERT INTO topic_generator.device_group (device_id, group_id)
       SELECT $1, group_id FROM unnest($2::varchar[]) AS group_id ON CONFLICT DO NOTHING`,
      [
        deviceId,
        groupIds,
        auditRows([deviceEntry('device.named', deviceId, { homeId, details: { groups: groupIds } })]),
      ],
    );
  }

  private async drop(condition: string, [nowMs, ...parameters]: [number, ...string[]]): Promise<number> {
    const [, affected] = await this.manager.query<[unknown[], number]>(
      `UPDATE topic_generator.device_certificate SET dropped_at = $1 WHERE dropped_at IS NULL AND ${condition}`,
      [new Date(nowMs), ...parameters],
    );
    return affected;
  }
}
