import { type AuditEntry, auditRows, callerActor, insertAudit } from '@mqtt2go/audit';
import { Bus, type certificateAuthority, currentCaller, topicGenerator } from '@mqtt2go/messaging';
import { publicKeyHash, readCertificate } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, IsNull, MoreThan, Not } from 'typeorm';
import type { z } from 'zod';
import { Authorities } from '../authority/authorities.js';
import { DeviceBundles } from '../certificates/device-bundles.js';
import { DeviceCertificate } from '../certificates/device-certificate.entity.js';
import { readDeviceRequest, withOwnKey } from '../certificates/device-keys.js';
import { CertificateMetrics } from '../metrics/certificate-metrics.js';
import { schema } from '../schema.js';

export type RenewalRequest = z.output<typeof certificateAuthority.renewCertificate.input>;
export type RenewalAnswer = z.input<typeof certificateAuthority.renewCertificate.output>;

/** So many a device gets in a day, whoever asks: one a year is what it needs. */
const mostPerDay = 5;
const dayMs = 86_400_000;

/** Ends within the time that whoever asks for a renewal waits for it; the renewal can be repeated. */
const oneShortCall = { retries: 0, timeoutMs: 4_000 };

/**
 * Issues the certificate after a certificate: one for each key, however often it is asked for. It is stored, then put to
 * the brokers, then answered: who gets no answer repeats the request, which does what is left.
 */
@Injectable()
export class Renewing {
  constructor(
    private readonly dataSource: DataSource,
    private readonly authorities: Authorities,
    private readonly bundles: DeviceBundles,
    private readonly bus: Bus,
    private readonly clock: Clock,
    private readonly metrics: CertificateMetrics,
  ) {}

  /** The errors are those of the contract; `unavailable` or `timeout` without the topic generator or the broker. */
  async renew({ serialNumber, csr }: RenewalRequest): Promise<RenewalAnswer> {
    const { successor, isNew } = await withOwnKey(() =>
      this.dataSource.transaction((manager) => this.renewIn(manager, serialNumber, csr)),
    );
    if (isNew) this.metrics.renewed();
    return this.answer(successor);
  }

  /**
   * What a device is told of a certificate of its own; one from a renewal is put to the brokers first.
   * @throws Mqtt2goError `certificate_revoked`, `certificate_expired`; `unavailable` or `timeout` as {@link renew}
   */
  async answer(certificate: DeviceCertificate): Promise<RenewalAnswer> {
    this.requireGood(certificate);
    const { deviceId, serialNumber, renewedFrom } = certificate;
    if (renewedFrom !== null) {
      await this.bus.call(topicGenerator.acceptCertificate, { deviceId, renewedFrom, serialNumber }, oneShortCall);
    }
    return { serialNumber, deviceCertificate: await this.bundles.ofStored(certificate) };
  }

  private async renewIn(
    manager: EntityManager,
    serialNumber: string,
    csr: string | undefined,
  ): Promise<{ successor: DeviceCertificate; isNew: boolean }> {
    // The lock makes renewals of one certificate, and its revocation, come one after the other.
    const lock = { mode: 'pessimistic_write' } as const;
    const current = await manager.findOne(DeviceCertificate, { where: { serialNumber }, lock });
    if (current === null) throw new Mqtt2goError('unknown_certificate');
    this.requireGood(current);
    const { deviceId } = current;
    const publicKey =
      csr === undefined ? readCertificate(current.certificate).publicKey : await readDeviceRequest(csr, deviceId);
    const hash = publicKeyHash(publicKey);

    const earlier = await manager.findOneBy(DeviceCertificate, { renewedFrom: serialNumber, publicKeyHash: hash });
    if (earlier !== null) {
      this.requireGood(earlier);
      return { successor: earlier, isNew: false };
    }
    const sinceYesterday = MoreThan(new Date(this.clock.now() - dayMs));
    const renewed = { deviceId, renewedFrom: Not(IsNull()), notBefore: sinceYesterday };
    if ((await manager.countBy(DeviceCertificate, renewed)) >= mostPerDay) {
      throw new Mqtt2goError('too_many_attempts', 'The device has been given enough certificates today.');
    }
    const issued = this.authorities.issuing.issueDevice({ deviceId, publicKey, nowMs: this.clock.now() });
    const successor = manager.create(DeviceCertificate, {
      serialNumber: issued.serialNumber,
      deviceId,
      publicKeyHash: hash,
      certificate: Buffer.from(issued.der),
      notBefore: new Date(issued.notBeforeMs),
      notAfter: new Date(issued.notAfterMs),
      renewedFrom: serialNumber,
      issuerHash: null,
      revokedAt: null,
    });
    await manager.query(addKey, [hash, deviceId, auditRows([renewalEntry(successor)])]);
    await manager.insert(DeviceCertificate, successor);
    return { successor, isNew: true };
  }

  /** @throws Mqtt2goError `certificate_revoked`, `certificate_expired` */
  requireGood(certificate: DeviceCertificate): void {
    if (certificate.revokedAt !== null) throw new Mqtt2goError('certificate_revoked');
    if (certificate.notAfter.getTime() < this.clock.now()) {
      throw new Mqtt2goError('certificate_expired');
    }
  }
}

const addKey = `
  WITH audited AS (${insertAudit(schema, '$3')})
  INSERT INTO device_key (public_key_hash, device_id) VALUES ($1, $2) ON CONFLICT (public_key_hash) DO NOTHING`;

function renewalEntry({ deviceId, serialNumber, renewedFrom, notAfter }: DeviceCertificate): AuditEntry {
  return {
    actor: callerActor(currentCaller(), 'operator'),
    action: 'certificate.renewed',
    deviceId,
    details: { serialNumber, renewedFrom: renewedFrom ?? undefined, notAfter: notAfter.toISOString() },
  };
}
