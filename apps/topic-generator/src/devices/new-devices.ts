import type { DevicePrincipal } from '@mqtt2go/access';
import { auditRow, auditRows, insertAudit, insertAuditEach } from '@mqtt2go/audit';
import { isUniqueViolation } from '@mqtt2go/persistence';
import { Clock } from '@mqtt2go/ports';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schema } from '../schema.js';
import { deviceEntry } from './device-audit.js';
import { type Admission, admissionEntry } from './device-records.js';

/** A device in its first groups. */
export interface NamedDevice {
  readonly homeId: string;
  readonly gatewayId: string;
  readonly deviceType: string;
  /** True if it was admitted to another gateway, or as another type, than it is named for. */
  readonly isMoved: boolean;
}

/**
 * The two changes that every onboarding makes, for a device that is added for the first time: one statement each,
 * which also tells what the broker is to know. They do nothing for a device with a history, which takes a
 * transaction: all parts of one statement read the tables as they were when it began, so none of them
 * would see what another change did while the statement waited for the device's row.
 */
@Injectable()
export class NewDevices {
  constructor(
    private readonly dataSource: DataSource,
    private readonly clock: Clock,
  ) {}

  /** Undefined, and nothing stored, if the device or its certificate is known. */
  async admit(admission: Admission): Promise<DevicePrincipal | undefined> {
    const { onboardingId, deviceId, homeId, gatewayId, deviceType, serialNumber } = admission;
    const admitted = await this.dataSource
      .query<unknown[]>(
        `WITH new_device AS (
           INSERT INTO topic_generator.device (device_id, home_id, gateway_id, device_type, pending_onboarding_id)
           VALUES ($1, $2, $3, $4, $5) ON CONFLICT (device_id) DO NOTHING
           RETURNING device_id, pending_onboarding_id, gateway_id, device_type
         ), audited AS (${insertAudit(schema, '$8', 'new_device')})
         INSERT INTO topic_generator.device_certificate
           (device_id, onboarding_id, gateway_id, device_type, serial_number, admitted_at)
         SELECT new_device.*, $6, $7 FROM new_device RETURNING 1`,
        [
          deviceId,
          homeId,
          gatewayId,
          deviceType,
          onboardingId,
          serialNumber,
          new Date(this.clock.now()),
          auditRows([admissionEntry(admission)]),
        ],
      )
      .catch((error: unknown) => {
        // Dropped before it came.
        if (isUniqueViolation(error, 'device_certificate_pk')) return [];
        throw error;
      });
    if (admitted.length === 0) return undefined;
    return {
      kind: 'device',
      id: deviceId,
      homeId,
      gatewayId,
      deviceType,
      certificateSerials: [serialNumber],
    };
  }

  /**
   * Puts a device in its first groups and completes its onboarding. Undefined, and nothing stored, if it has been
   * named before, or has a certificate of another onboarding.
   */
  async name(deviceId: string, groupIds: readonly string[]): Promise<NamedDevice | undefined> {
    // A device's row is written by whoever admits another certificate: a row that is no longer the version that the
    // certificates were read with (xmin) is left alone. Only drops pass unseen, and count as made after this.
    const [named] = await this.dataSource.query<NamedDevice[]>(
      `WITH admitted AS MATERIALIZED (
         SELECT d.device_id, d.xmin AS version, d.gateway_id AS from_gateway, d.device_type AS from_type,
           (array_agg(c.gateway_id ORDER BY c.admitted_at DESC))[1] AS gateway_id,
           (array_agg(c.device_type ORDER BY c.admitted_at DESC))[1] AS device_type
         FROM topic_generator.device d
         JOIN topic_generator.device_certificate c ON c.device_id = d.device_id AND c.dropped_at IS NULL
         WHERE d.device_id = $1 AND d.named_onboarding_id IS NULL
         GROUP BY d.device_id, d.xmin
         HAVING bool_and(c.onboarding_id IS NOT DISTINCT FROM d.pending_onboarding_id)
       ), named AS (
         UPDATE topic_generator.device d
         SET gateway_id = a.gateway_id, device_type = a.device_type,
           named_onboarding_id = d.pending_onboarding_id, pending_onboarding_id = NULL
         FROM admitted a
         WHERE d.device_id = a.device_id AND d.xmin = a.version AND d.pending_onboarding_id IS NOT NULL
         RETURNING d.device_id, d.home_id, d.gateway_id, d.device_type,
           (a.from_gateway, a.from_type) IS DISTINCT FROM (d.gateway_id, d.device_type) AS is_moved
       ), home_groups AS (
         INSERT INTO topic_generator.home_group (home_id, group_id)
         SELECT n.home_id, g.id FROM named n, unnest($2::varchar[]) AS g(id) ORDER BY g.id
         ON CONFLICT DO NOTHING
       ), groups AS (
         INSERT INTO topic_generator.device_group (device_id, group_id)
         SELECT n.device_id, g.id FROM named n, unnest($2::varchar[]) AS g(id)
         ON CONFLICT DO NOTHING
       ), audited AS (${insertAuditEach(schema, '$3', 'named', `jsonb_build_object('home_id', home_id)`)})
       SELECT home_id AS "homeId", gateway_id AS "gatewayId", device_type AS "deviceType", is_moved AS "isMoved"
       FROM named`,
      [deviceId, groupIds, auditRow(deviceEntry('device.named', deviceId, { details: { groups: groupIds } }))],
    );
    return named;
  }
}
