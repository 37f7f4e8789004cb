import { REVOCATION_LIST_VALIDITY_MS, type RevocationReason } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { Authorities } from '../authority/authorities.js';
import { PublishedList } from './published-list.entity.js';

/** A list that ends sooner than this is made anew, so that who fetched it has time to use it. */
const renewalMs = REVOCATION_LIST_VALIDITY_MS / 2;
const authority = 'issuing';

interface Revoked {
  readonly serialNumber: string;
  readonly revokedAt: Date;
  readonly reason: RevocationReason;
}

/** The revocation list of the issuing CA, made when it is asked for and something has changed. */
@Injectable()
export class RevocationList {
  constructor(
    private readonly dataSource: DataSource,
    private readonly authorities: Authorities,
    private readonly clock: Clock,
  ) {}

  /** PEM. Tells every revocation that was committed before the call. */
  async current(): Promise<string> {
    const published = await this.dataSource.manager.findOneByOrFail(PublishedList, { authority });
    return this.freshList(published) ?? this.dataSource.transaction((manager) => this.publish(manager));
  }

  private freshList(published: PublishedList): string | undefined {
    const { revocations, publishedRevocations, nextUpdate, list } = published;
    if (list === null || nextUpdate === null || publishedRevocations !== revocations) return undefined;
    const leftMs = nextUpdate.getTime() - this.clock.now();
    // One from the future was made while the clock was wrong: nobody believes it yet.
    return leftMs > renewalMs && leftMs <= REVOCATION_LIST_VALIDITY_MS + 1_000 ? list : undefined;
  }

  private async publish(manager: EntityManager): Promise<string> {
    const lock = { mode: 'pessimistic_write' } as const;
    const published = await manager.findOneOrFail(PublishedList, { where: { authority }, lock });
    const madeMeanwhile = this.freshList(published);
    if (madeMeanwhile !== undefined) return madeMeanwhile;
    const nowMs = this.clock.now();
    const number = published.number + 1;
    // RFC 5280 3.3: an entry stays until a list after the certificate's end has told it.
    const revoked: Revoked[] = await manager.query(select, [new Date(nowMs - REVOCATION_LIST_VALIDITY_MS)]);
    const { pem: list, nextUpdateMs } = this.authorities.issuing.makeRevocationList({
      entries: revoked.map(({ serialNumber, revokedAt, reason }) => ({
        serialNumber,
        revokedAtMs: revokedAt.getTime(),
        reason,
      })),
      number,
      nowMs,
    });
    await manager.update(
      PublishedList,
      { authority },
      { list, number, nextUpdate: new Date(nextUpdateMs), publishedRevocations: published.revocations },
    );
    return list;
  }
}

const select = `
  SELECT serial_number AS "serialNumber", revoked_at AS "revokedAt", revocation_reason AS reason
  FROM device_certificate WHERE revoked_at IS NOT NULL AND issuer_hash IS NULL AND not_after > $1 ORDER BY revoked_at, serial_number`;
