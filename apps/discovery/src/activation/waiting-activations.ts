import { auditRows, insertAudit } from '@mqtt2go/audit';
import { isUniqueViolation } from '@mqtt2go/persistence';
import { SecretBox } from '@mqtt2go/pki';
import { BrokerCopy, Clock } from '@mqtt2go/ports';
import { type KeyMode, Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, MoreThan } from 'typeorm';
import { type PrincipalRow, principalColumns, principalOf } from './activation-principals.js';
import { schema } from '../schema.js';
import { WaitingActivation } from './waiting-activation.entity.js';

/** How long a device may wait at most, whatever the announcement says. */
export const longestWaitMs = 15 * 60_000;
/** Expired entries that one statement removes. */
const sweepSize = 500;
const codeConstraint = 'waiting_activation_code_uq';
/** Only provisioning may ask for what is done over REST. */
const provisioning = { kind: 'service', id: 'provisioning' } as const;

const entryColumns = `
  device_id AS "deviceId", activation_code AS "activationCode", onboarding_id AS "onboardingId", revision,
  broker_host AS "brokerHost", broker_port AS "brokerPort", key_mode AS "keyMode",
  sealed_certificate AS "sealedCertificate", csr_key_hash AS "csrKeyHash", expires_at AS "expiresAt",
  claimed_at AS "claimedAt"`;

/** What step 2 tells of a device. */
export interface Announcement {
  readonly deviceId: string;
  readonly activationCode: string;
  readonly onboardingId: string;
  readonly revision: string;
  readonly brokerHost: string;
  readonly brokerPort: number;
  readonly keyMode: KeyMode;
  /** PEM bundle; none in the `csr` key mode. */
  readonly deviceCertificate?: string | undefined;
  readonly expiresAtMs: number;
}

interface Stored {
  readonly created: boolean;
  /** Nothing was stored: the onboarding's announcement was taken back before. */
  readonly withdrawn: boolean;
}

interface Entry extends Announcement {
  /** Cut to the longest wait. */
  readonly expiresAt: Date;
}

/** What a claim adds in the `csr` key mode. */
export interface ClaimedCertificate {
  /** PEM bundle. */
  readonly deviceCertificate: string;
  /** SHA-256 of the public key that it was issued to. */
  readonly keyHash: Uint8Array;
}

/**
 * The devices that wait for their activation. The database is the truth; who may come to the activation
 * broker follows from it. Bundles are encrypted at rest and gone with their entry.
 */
@Injectable()
export class WaitingActivations {
  /** Devices whose entries are gone while the broker did not answer: taken off it by a later sweep. */
  private readonly leftOnBroker = new Set<string>();

  constructor(
    private readonly dataSource: DataSource,
    private readonly copy: BrokerCopy,
    private readonly secrets: SecretBox,
    private readonly clock: Clock,
  ) {}

  /**
   * Lets a device come, for 15 minutes at most. The same onboarding may be announced again; a later one of the
   * same device takes the place of an earlier one. Returns when the broker lets the device in. A repetition that a
   * network kept until after {@link withdraw} does nothing.
   * @throws Mqtt2goError `activation_expired`; `activation_code_in_use` if another device waits with the code;
   * `conflict` if a later onboarding of the device is there; `unavailable` without the broker
   */
  async announce(announcement: Announcement): Promise<{ created: boolean; expiresAtMs: number }> {
    const nowMs = this.clock.now();
    if (announcement.expiresAtMs <= nowMs) throw new Mqtt2goError('activation_expired');
    const expiresAtMs = Math.min(announcement.expiresAtMs, nowMs + longestWaitMs);
    const { deviceId, activationCode } = announcement;
    const entry = { ...announcement, expiresAt: new Date(expiresAtMs) };
    const created = await this.copy.change({ kind: 'activation', id: deviceId }, async () => {
      const stored = await this.store(this.dataSource.manager, entry).catch((error: unknown) => {
        if (!isUniqueViolation(error, codeConstraint)) throw error;
        return this.storeForExpired(entry, nowMs);
      });
      if (stored === undefined) throw new Mqtt2goError('conflict', 'A later onboarding of this device is waiting.');
      if (stored.withdrawn) return { answer: false, principal: 'unchanged' };
      return { answer: stored.created, principal: { kind: 'activation', id: deviceId, activationCode, expiresAtMs } };
    });
    return { created, expiresAtMs };
  }

  /**
   * Forgets what one onboarding announced; a later one's entry stays, an unknown one is fine.
   * @param announcedUntilMs announcements of it up to this end do nothing from now on; without it, those up to the end of
   * the entry there is
   * @throws Mqtt2goError `unavailable` without the broker
   */
  async withdraw(deviceId: string, onboardingId: string, announcedUntilMs?: number): Promise<void> {
    await this.copy.change({ kind: 'activation', id: deviceId }, async () => {
      const [other] = await this.dataSource.query<PrincipalRow[]>(
        `WITH gone AS (
           DELETE FROM discovery.waiting_activation WHERE device_id = $1 AND onboarding_id = $2 RETURNING expires_at
         ), remembered AS (
           INSERT INTO discovery.withdrawn_activation AS w (onboarding_id, announced_until)
           VALUES ($2, coalesce(greatest((SELECT expires_at FROM gone), $6::timestamptz), $5))
           ON CONFLICT (onboarding_id) DO UPDATE
             SET announced_until = greatest(w.announced_until, (SELECT expires_at FROM gone), $6::timestamptz)
         ), audited AS (${insertAudit(schema, '$4', 'gone')})
         SELECT ${principalColumns} FROM discovery.waiting_activation
         WHERE device_id = $1 AND onboarding_id <> $2 AND expires_at > $3`,
        [
          deviceId,
          onboardingId,
          new Date(this.clock.now()),
          auditRows([{ actor: provisioning, action: 'activation.withdrawn', deviceId, onboardingId }]),
          // What is on its way was said before, and so ends before.
          new Date(this.clock.now() + longestWaitMs),
          announcedUntilMs === undefined ? null : new Date(announcedUntilMs),
        ],
      );
      return { answer: undefined, principal: other === undefined ? 'absent' : principalOf(other) };
    });
  }

  /** @throws Mqtt2goError `unknown_onboarding`, `activation_expired` */
  async byCode(activationCode: string): Promise<WaitingActivation> {
    const [entry] = await this.dataSource.query<WaitingActivation[]>(
      `SELECT ${entryColumns} FROM discovery.waiting_activation WHERE activation_code = $1`,
      [activationCode],
    );
    if (entry === undefined) throw new Mqtt2goError('unknown_onboarding');
    if (entry.expiresAt.getTime() <= this.clock.now()) throw new Mqtt2goError('activation_expired');
    return entry;
  }

  /**
   * Remembers that provisioning knows of the device. The first claim counts; what it brought stays.
   * @throws Mqtt2goError `unknown_onboarding` if the entry went or was replaced meanwhile
   */
  async claim(entry: WaitingActivation, claimed?: ClaimedCertificate): Promise<WaitingActivation> {
    const { deviceId, onboardingId } = entry;
    const sealed = claimed && this.seal(entry, claimed.deviceCertificate);
    const [first] = await this.dataSource.query<WaitingActivation[]>(
      `WITH claimed AS (
         UPDATE discovery.waiting_activation
         SET claimed_at = $3, sealed_certificate = coalesce($4, sealed_certificate), csr_key_hash = $5
         WHERE device_id = $1 AND onboarding_id = $2 AND claimed_at IS NULL
         RETURNING *
       ), audited AS (${insertAudit(schema, '$6', 'claimed')})
       SELECT ${entryColumns} FROM claimed`,
      [
        deviceId,
        onboardingId,
        new Date(this.clock.now()),
        sealed,
        claimed && Buffer.from(claimed.keyHash),
        auditRows([{ actor: { kind: 'device', id: deviceId }, action: 'activation.claimed', deviceId, onboardingId }]),
      ],
    );
    if (first !== undefined) return first;
    const [claimedBefore] = await this.dataSource.query<WaitingActivation[]>(
      `SELECT ${entryColumns} FROM discovery.waiting_activation WHERE device_id = $1 AND onboarding_id = $2`,
      [deviceId, onboardingId],
    );
    if (claimedBefore === undefined) throw new Mqtt2goError('unknown_onboarding');
    return claimedBefore;
  }

  /**
   * The bundle for the device, in clear; undefined before a `csr` claim.
   * @throws Mqtt2goError `configuration_invalid` if it was sealed with another encryption key
   */
  certificateOf({ deviceId, onboardingId, sealedCertificate }: WaitingActivation): string | undefined {
    if (sealedCertificate === null) return undefined;
    return this.secrets.openText(secretName(deviceId, onboardingId), sealedCertificate);
  }

  /**
   * Removes what has expired, bundles included, and takes it off the broker. Returns how many there were.
   * @throws Mqtt2goError `unavailable` without the broker, which by then refuses these devices by itself
   */
  async sweep(): Promise<number> {
    let count = 0;
    for (;;) {
      const [rows] = await this.dataSource.query<[{ device_id: string }[], number]>(
        `WITH forgotten AS (DELETE FROM discovery.withdrawn_activation WHERE announced_until <= $1)
         DELETE FROM discovery.waiting_activation WHERE device_id IN (
           SELECT device_id FROM discovery.waiting_activation WHERE expires_at <= $1
           ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING device_id`,
        [new Date(this.clock.now()), sweepSize],
      );
      count += rows.length;
      for (const row of rows) this.leftOnBroker.add(row.device_id);
      if (rows.length < sweepSize) break;
    }
    const leaving = [...this.leftOnBroker];
    await this.sync(leaving);
    for (const deviceId of leaving) this.leftOnBroker.delete(deviceId);
    return count;
  }

  /**
   * Gives all that wait as much time as they had, when it is another time. The broker has been told when it returns.
   * @throws Mqtt2goError `unavailable` without the broker
   */
  async move(byMs: number): Promise<void> {
    const moved = await this.dataSource.query<{ device_id: string }[]>(
      `WITH moved AS (
         UPDATE discovery.waiting_activation SET expires_at = expires_at + $1 * interval '1 millisecond' RETURNING device_id
       ), remembered AS (
         UPDATE discovery.withdrawn_activation SET announced_until = announced_until + $1 * interval '1 millisecond'
       ) SELECT device_id FROM moved`,
      [byMs],
    );
    await this.sync(moved.map((row) => row.device_id));
  }

  /** How many devices wait now. */
  async count(): Promise<number> {
    return this.dataSource
      .getRepository(WaitingActivation)
      .countBy({ expiresAt: MoreThan(new Date(this.clock.now())) });
  }

  /** Stores what needs a code that another device has, if that one's time is over. */
  private async storeForExpired(entry: Entry, nowMs: number): Promise<Stored | undefined> {
    try {
      return await this.dataSource.transaction(async (manager) => {
        const [rows] = await manager.query<[{ device_id: string }[], number]>(
          `DELETE FROM discovery.waiting_activation
           WHERE activation_code = $1 AND expires_at <= $2 RETURNING device_id`,
          [entry.activationCode, new Date(nowMs)],
        );
        for (const row of rows) this.leftOnBroker.add(row.device_id);
        return this.store(manager, entry);
      });
    } catch (error) {
      throw isUniqueViolation(error, codeConstraint)
        ? new Mqtt2goError('activation_code_in_use', undefined, { cause: error })
        : error;
    }
  }

  /** Undefined if a later onboarding of the device is there. What the same onboarding's claim brought stays. */
  private async store(manager: EntityManager, entry: Entry): Promise<Stored | undefined> {
    const { deviceCertificate } = entry;
    // The query in RETURNING reads the table as it was before.
    const [stored] = await manager.query<Stored[]>(
      `WITH withdrawn AS (
         SELECT FROM discovery.withdrawn_activation WHERE onboarding_id = $3 AND announced_until >= $9
       ), stored AS (
       INSERT INTO discovery.waiting_activation AS w
         (device_id, activation_code, onboarding_id, revision, broker_host, broker_port, key_mode,
          sealed_certificate, expires_at)
       SELECT $1, $2, $3::uuid, $4, $5, $6::integer, $7, $8::bytea, $9::timestamptz
       WHERE NOT EXISTS (SELECT FROM withdrawn)
       ON CONFLICT (device_id) DO UPDATE SET
         activation_code = excluded.activation_code, onboarding_id = excluded.onboarding_id,
         revision = excluded.revision, broker_host = excluded.broker_host, broker_port = excluded.broker_port,
         key_mode = excluded.key_mode, expires_at = excluded.expires_at,
         sealed_certificate = coalesce(excluded.sealed_certificate,
           CASE WHEN w.onboarding_id = excluded.onboarding_id THEN w.sealed_certificate END),
         csr_key_hash = CASE WHEN w.onboarding_id = excluded.onboarding_id THEN w.csr_key_hash END,
         claimed_at = CASE WHEN w.onboarding_id = excluded.onboarding_id THEN w.claimed_at END
       WHERE w.onboarding_id = excluded.onboarding_id OR w.expires_at <= excluded.expires_at
       RETURNING NOT EXISTS (
         SELECT 1 FROM discovery.waiting_activation k WHERE k.device_id = $1 AND k.onboarding_id = $3) AS created
       ), audited AS (${insertAudit(schema, '$10', 'stored')})
       SELECT created, false AS withdrawn FROM stored UNION ALL SELECT false, true FROM withdrawn`,
      [
        entry.deviceId,
        entry.activationCode,
        entry.onboardingId,
        entry.revision,
        entry.brokerHost,
        entry.brokerPort,
        entry.keyMode,
        deviceCertificate === undefined ? null : this.seal(entry, deviceCertificate),
        entry.expiresAt,
        auditRows([
          {
            actor: provisioning,
            action: 'activation.announced',
            deviceId: entry.deviceId,
            onboardingId: entry.onboardingId,
            details: { broker: `${entry.brokerHost}:${entry.brokerPort}`, keyMode: entry.keyMode },
          },
        ]),
      ],
    );
    return stored;
  }

  private seal({ deviceId, onboardingId }: { deviceId: string; onboardingId: string }, bundle: string): Buffer {
    return Buffer.from(this.secrets.seal(secretName(deviceId, onboardingId), bundle));
  }

  private async sync(deviceIds: readonly string[]): Promise<void> {
    await this.copy.sync([...new Set(deviceIds)].map((id) => ({ kind: 'activation', id })));
  }
}

/** Ties a sealed bundle to its entry: it does not open in another's place. */
function secretName(deviceId: string, onboardingId: string): string {
  return `discovery/${deviceId}/${onboardingId}`;
}
