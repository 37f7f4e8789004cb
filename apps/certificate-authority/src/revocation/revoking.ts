import { auditRow, callerActor, insertAuditEach } from '@mqtt2go/audit';
import { type certificateAuthority, currentCaller, currentOnboardingId } from '@mqtt2go/messaging';
import { Outbox } from '@mqtt2go/persistence';
import type { RevocationReason } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { z } from 'zod';
import { CertificateMetrics } from '../metrics/certificate-metrics.js';
import { schema } from '../schema.js';
import { withdrawAccess } from './access-withdrawal.js';

export type RevocationRequest = z.output<typeof certificateAuthority.revokeCertificates.input>;

/** As many as topic-generator/revoke-access takes at once. */
const serialNumbersPerCall = 64;

/** Revokes certificates; that the brokers close their doors is stored in the same transaction. */
@Injectable()
export class Revoking {
  constructor(
    private readonly dataSource: DataSource,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
    private readonly metrics: CertificateMetrics,
  ) {}

  /**
   * Revokes one certificate, or all of a device that have not expired.
   * @returns the serial numbers of those that are revoked now, including what was revoked before
   * @throws Mqtt2goError `unknown_certificate`, `malformed_message` when the request names none
   */
  async revoke({ serialNumber, deviceId, reason }: RevocationRequest): Promise<string[]> {
    if (serialNumber === undefined && deviceId === undefined) {
      throw new Mqtt2goError('malformed_message', 'A revocation names a serial number or a device.');
    }
    return this.inTransaction(reason, async (manager) => {
      const found: { serialNumber: string }[] = await manager.query(select, [
        serialNumber ?? null,
        deviceId ?? null,
        new Date(this.clock.now()),
      ]);
      if (found.length === 0) throw new Mqtt2goError('unknown_certificate');
      return found.map((row) => row.serialNumber);
    });
  }

  /**
   * Revokes what `choose` finds, in one transaction with what it does itself.
   * @returns what it chose
   */
  async inTransaction(
    reason: RevocationReason,
    choose: (manager: EntityManager) => Promise<string[]>,
  ): Promise<string[]> {
    const { chosen, revoked } = await this.dataSource.transaction(async (manager) => {
      const serialNumbers = await choose(manager);
      return { chosen: serialNumbers, revoked: await this.mark(manager, serialNumbers, reason) };
    });
    if (revoked > 0) this.metrics.revoked(reason, revoked);
    return chosen;
  }

  private async mark(
    manager: EntityManager,
    serialNumbers: readonly string[],
    reason: RevocationReason,
  ): Promise<number> {
    if (serialNumbers.length === 0) return 0;
    // Taken first and held to the end: a list that is made meanwhile waits, and so never leaves one out.
    await manager.query(`UPDATE published_list SET revocations = revocations + 1 WHERE authority = 'issuing'`);
    const devices: { deviceId: string; serialNumbers: string[] }[] = await manager.query(update, [
      serialNumbers,
      new Date(this.clock.now()),
      reason,
      auditRow({
        actor: callerActor(currentCaller(), 'provisioning'),
        action: 'certificate.revoked',
        onboardingId: currentOnboardingId(),
      }),
    ]);
    let revoked = 0;
    for (const { deviceId, serialNumbers: all } of devices) {
      revoked += all.length;
      for (let at = 0; at < all.length; at += serialNumbersPerCall) {
        const payload = { deviceId, serialNumbers: all.slice(at, at + serialNumbersPerCall) };
        await this.outbox.add(manager, withdrawAccess, payload);
      }
    }
    return revoked;
  }
}

const select = `
  SELECT serial_number AS "serialNumber" FROM device_certificate
  WHERE ($1::text IS NULL OR serial_number = $1) AND ($2::text IS NULL OR device_id = $2)
    AND ($1::text IS NOT NULL OR not_after > $3)
  ORDER BY serial_number`;

const update = `
  WITH revoked AS (
    UPDATE device_certificate SET revoked_at = $2, revocation_reason = $3
    WHERE serial_number = ANY($1) AND revoked_at IS NULL
    RETURNING serial_number, device_id
  ), audited AS (${insertAuditEach(
    schema,
    '$4',
    'revoked',
    `jsonb_build_object('device_id', device_id,
       'details', jsonb_build_object('serialNumber', serial_number, 'reason', $3::text))`,
  )})
  SELECT device_id AS "deviceId", array_agg(serial_number ORDER BY serial_number) AS "serialNumbers"
  FROM revoked GROUP BY device_id`;
