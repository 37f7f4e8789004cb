import { auditRows, callerActor, insertAudit } from '@mqtt2go/audit';
import { currentCaller } from '@mqtt2go/messaging';
import { readCertificate, splitPem } from '@mqtt2go/pki';
import type { BrokerAdmin, Clock, PrincipalLocks } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { DataSource } from 'typeorm';
import { schema } from '../schema.js';
import { Manufacturer } from './manufacturer.entity.js';

/** The manufacturers whose devices are let in at the activation broker: at first none. */
export class Manufacturers {
  /** One update of the broker at a time: each reads the table when its turn comes, so the last one has it all. */
  private updates: Promise<void> = Promise.resolve();

  constructor(
    private readonly dataSource: DataSource,
    private readonly admin: BrokerAdmin,
    private readonly clock: Clock,
    /** Where there are other processes, which have their turns too. */
    private readonly locks: PrincipalLocks | undefined,
  ) {}

  /**
   * Makes a manufacturer's CA a trust anchor, at once; one that is known gets the name.
   * @param certificate PEM, one certificate
   * @returns lower-case hex SHA-256 of the certificate
   * @throws Mqtt2goError `malformed_message` if it is no CA's certificate, or not valid now; `unavailable` without
   * the broker
   */
  async register(name: string, certificate: string): Promise<string> {
    const blocks = splitPem(certificate);
    if (blocks.length !== 1) {
      throw new Mqtt2goError('malformed_message', 'The certificate has to be one PEM certificate.');
    }
    const { fingerprint, isAuthority, notBeforeMs, notAfterMs } = readCertificate(certificate);
    if (!isAuthority) {
      throw new Mqtt2goError('malformed_message', 'The certificate is not that of a CA.');
    }
    const nowMs = this.clock.now();
    if (nowMs < notBeforeMs || nowMs > notAfterMs) {
      throw new Mqtt2goError('malformed_message', 'The certificate is not valid at this time.');
    }
    await this.dataSource.query(
      `WITH audited AS (${insertAudit(schema, '$5')})
       INSERT INTO discovery.manufacturer (fingerprint, name, certificate, registered_at) VALUES ($1, $2, $3, $4)
       ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name`,
      [
        fingerprint,
        name,
        certificate,
        new Date(nowMs),
        auditRows([
          {
            actor: callerActor(currentCaller(), 'operator'),
            action: 'manufacturer.registered',
            details: { name: name.slice(0, 100), fingerprint },
          },
        ]),
      ],
    );
    await this.tellBroker();
    return fingerprint;
  }

  /** By fingerprint. */
  async list(): Promise<readonly Manufacturer[]> {
    return this.dataSource.getRepository(Manufacturer).find({ order: { fingerprint: 'ASC' } });
  }

  /**
   * Makes the registered ones, and no others, the broker's trust anchors.
   * @throws Mqtt2goError `unavailable` without the broker
   */
  async tellBroker(): Promise<void> {
    const tell = async (): Promise<void> => {
      const all = await this.list();
      await this.admin.setTrustAnchors(all.map(({ certificate }) => certificate));
    };
    const update = this.updates.then(() => this.locks?.hold(['trust anchors'], tell) ?? tell());
    this.updates = update.catch(() => undefined);
    await update;
  }
}
