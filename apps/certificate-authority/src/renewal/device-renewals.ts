import type { certificateAuthority } from '@mqtt2go/messaging';
import { publicKeyHash } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { z } from 'zod';
import { DeviceBundles } from '../certificates/device-bundles.js';
import { DeviceCertificate } from '../certificates/device-certificate.entity.js';
import { readDeviceRequest } from '../certificates/device-keys.js';
import { Revoking } from '../revocation/revoking.js';
import { type RenewalAnswer, Renewing } from './renewing.js';

export type DeviceRenewalRequest = z.output<typeof certificateAuthority.renewDeviceCertificate.input>;

/**
 * Renewals that devices ask for by themselves. The certificate before stays good until the device has come with the one
 * after it: a device that never got the answer is never without one.
 */
@Injectable()
export class DeviceRenewals {
  constructor(
    private readonly dataSource: DataSource,
    private readonly renewing: Renewing,
    private readonly revoking: Revoking,
    private readonly bundles: DeviceBundles,
    private readonly clock: Clock,
  ) {}

  /** The errors are those of the contract. */
  async renew({ deviceId, serialNumber, csr }: DeviceRenewalRequest): Promise<RenewalAnswer> {
    const current = await this.find(deviceId, serialNumber);
    this.renewing.requireGood(current);
    if (serialNumber !== undefined) await this.retireThoseBefore(current);
    const wantsSameKey = csr === undefined || (await isKeyOf(csr, current));
    if (wantsSameKey && !this.isDue(current)) {
      // Whoever came with it has no need of its being accepted.
      return serialNumber === undefined ? this.renewing.answer(current) : this.repeat(current);
    }
    return this.renewing.renew({ serialNumber: current.serialNumber, csr });
  }

  private async repeat(certificate: DeviceCertificate): Promise<RenewalAnswer> {
    return {
      serialNumber: certificate.serialNumber,
      deviceCertificate: await this.bundles.ofStored(certificate),
    };
  }

  private async find(deviceId: string, serialNumber: string | undefined): Promise<DeviceCertificate> {
    const certificates = this.dataSource.getRepository(DeviceCertificate);
    const [current] = await certificates.find({
      where: { deviceId, ...(serialNumber === undefined ? {} : { serialNumber }) },
      // One that is good comes before any that is revoked.
      order: { revokedAt: { direction: 'DESC', nulls: 'FIRST' }, notBefore: 'DESC', serialNumber: 'DESC' },
      take: 1,
    });
    if (current === undefined) throw new Mqtt2goError('unknown_certificate');
    return current;
  }

  private isDue({ notBefore, notAfter }: DeviceCertificate): boolean {
    return this.clock.now() - notBefore.getTime() >= (notAfter.getTime() - notBefore.getTime()) / 2;
  }

  /** Revokes what the certificate was renewed from, and what else was renewed from that. */
  private async retireThoseBefore({ serialNumber, renewedFrom }: DeviceCertificate): Promise<void> {
    if (renewedFrom === null) return;
    const before: { serialNumber: string }[] = await this.dataSource.query(stillGoodBefore, [serialNumber]);
    if (before.length === 0) return;
    await this.revoking.inTransaction('superseded', async () => before.map((row) => row.serialNumber));
  }
}

async function isKeyOf(csr: string, { deviceId, publicKeyHash: hash }: DeviceCertificate): Promise<boolean> {
  return publicKeyHash(await readDeviceRequest(csr, deviceId)).equals(hash);
}

const stillGoodBefore = `
  WITH RECURSIVE before AS (
    SELECT renewed_from AS serial_number FROM device_certificate WHERE serial_number = $1 AND renewed_from IS NOT NULL
    UNION
    SELECT certificate.renewed_from FROM device_certificate AS certificate
    JOIN before ON before.serial_number = certificate.serial_number WHERE certificate.renewed_from IS NOT NULL
  )
  SELECT serial_number AS "serialNumber" FROM device_certificate
  WHERE revoked_at IS NULL AND serial_number <> $1
    AND (serial_number IN (SELECT serial_number FROM before) OR renewed_from IN (SELECT serial_number FROM before))
  ORDER BY serial_number`;
