import type { HomeController, HomeDevice } from '@mqtt2go/messaging';
import { type HomeStandingName, Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { ControllerSecrets } from '../controllers/controller-secrets.js';
import { Homes } from '../homes/homes.js';
import { HomeMoves } from './home-moves.js';

const pageSize = 50;

export interface OneMove {
  readonly homeId: string;
  readonly moveId: string;
}

/** All records of a home whose keys are after `after`, up to and with `upTo`; to the end without. */
export interface Page<Record> {
  readonly after: string;
  readonly upTo?: string | undefined;
  readonly records: readonly Record[];
}

interface Structure {
  readonly gatewayIds: readonly string[];
  readonly groupIds: readonly string[];
}

interface ControllerRow extends Omit<HomeController, 'password'> {
  readonly sealed: Buffer | null;
}

const leaves: readonly HomeStandingName[] = ['leaving', 'draining', 'moved'];
const arrives: readonly HomeStandingName[] = ['arriving', 'prepared'];

/**
 * What a home consists of, in pages, whose keys are compared as bytes: two databases may sort otherwise. Pages are taken out
 * where the home leaves and in where it arrives.
 */
@Injectable()
export class HomePages {
  constructor(
    private readonly dataSource: DataSource,
    private readonly moves: HomeMoves,
    private readonly homes: Homes,
    private readonly secrets: ControllerSecrets,
  ) {}

  /** @throws Mqtt2goError `conflict` unless the home is in this move, on either side of it */
  async structure(move: OneMove): Promise<Structure> {
    return this.inMove(move, [...leaves, ...arrives], async (manager) => {
      const [row] = await manager.query<Structure[]>(
        `SELECT array(SELECT gateway_id FROM topic_generator.gateway WHERE home_id = $1 ORDER BY 1) AS "gatewayIds",
           array(SELECT group_id FROM topic_generator.home_group WHERE home_id = $1 ORDER BY 1) AS "groupIds"`,
        [move.homeId],
      );
      return row ?? { gatewayIds: [], groupIds: [] };
    });
  }

  /** Makes gateways and groups equal to the other side's. A gateway of before stays as long as it has devices. */
  async takeStructure(move: OneMove, { gatewayIds, groupIds }: Structure): Promise<void> {
    await this.inMove(move, arrives, async (manager) => {
      for (const gatewayId of gatewayIds) await this.homes.ensureGateway(manager, move.homeId, gatewayId);
      await this.homes.ensureGroups(manager, move.homeId, groupIds);
      await manager.query(
        'DELETE FROM topic_generator.home_group WHERE home_id = $1 AND group_id <> ALL($2::varchar[])',
        [move.homeId, groupIds],
      );
    });
  }

  /** Same errors as {@link structure}. */
  async devices(move: OneMove, after: string): Promise<Page<HomeDevice>> {
    return this.inMove(move, [...leaves, ...arrives], async (manager) => {
      const records = await manager.query<HomeDevice[]>(selectDevices, [move.homeId, after, pageSize]);
      return pageOf(after, records, ({ deviceId }) => deviceId);
    });
  }

  /** @throws Mqtt2goError `device_already_active`; `conflict` unless the home arrives in this move */
  async takeDevices(move: OneMove, { after, upTo, records }: Page<HomeDevice>): Promise<void> {
    await this.inMove(move, arrives, async (manager) => {
      const { homeId } = move;
      const deviceIds = records.map(({ deviceId }) => deviceId);
      const elsewhere = await manager.query<{ device_id: string }[]>(
        `SELECT device_id FROM topic_generator.device WHERE device_id = ANY($2::varchar[]) AND home_id <> $1 ORDER BY 1`,
        [homeId, deviceIds],
      );
      if (elsewhere.length > 0) {
        const names = elsewhere.map(({ device_id }) => device_id).join(', ');
        throw new Mqtt2goError('device_already_active', `In another home there: ${names.slice(0, 500)}.`);
      }
      await manager.query(
        `DELETE FROM topic_generator.device WHERE home_id = $1 AND device_id COLLATE "C" > $2
           AND ($3::varchar IS NULL OR device_id COLLATE "C" <= $3)
           AND device_id <> ALL($4::varchar[])`,
        [homeId, after, upTo ?? null, deviceIds],
      );
      await manager.query(upsertDevices, [homeId, JSON.stringify(records)]);
      await manager.query(
        `DELETE FROM topic_generator.device_group g USING jsonb_to_recordset($1::jsonb) AS r("deviceId" varchar, "groupIds" jsonb)
         WHERE g.device_id = r."deviceId" AND NOT r."groupIds" ? g.group_id`,
        [JSON.stringify(records)],
      );
      await manager.query(insertGroups, [JSON.stringify(records)]);
      await manager.query(upsertCertificates, [JSON.stringify(records)]);
    });
  }

  /** Same errors as {@link structure}. */
  async controllers(move: OneMove, after: string): Promise<Page<HomeController>> {
    return this.inMove(move, [...leaves, ...arrives], async (manager) => {
      const rows = await manager.query<ControllerRow[]>(selectControllers, [move.homeId, after, pageSize]);
      const records = rows.map(({ sealed, ...row }) => ({
        ...row,
        ...(sealed === null ? {} : { password: this.secrets.open(row.username, sealed) }),
      }));
      return pageOf(after, records, ({ username }) => username);
    });
  }

  /** @throws Mqtt2goError `conflict` unless the home arrives in this move, or for a user name of another home */
  async takeControllers(move: OneMove, { after, upTo, records }: Page<HomeController>): Promise<void> {
    await this.inMove(move, arrives, async (manager) => {
      const { homeId } = move;
      // Those that a home with a gateway has here, to reach it from outside, go on beside those of the gateway.
      await manager.query(
        `DELETE FROM topic_generator.controller
         WHERE home_id = $1 AND username COLLATE "C" > $2
           AND ($3::varchar IS NULL OR username COLLATE "C" <= $3)
           AND username <> ALL($4::varchar[])
           AND username <> ALL(SELECT unnest(hosted) FROM topic_generator.home WHERE home_id = $1)`,
        [homeId, after, upTo ?? null, records.map(({ username }) => username)],
      );
      for (const { username, gatewayId, role, iterations, salt, hash, password } of records) {
        const stored = await manager.query<unknown[]>(
          `INSERT INTO topic_generator.controller AS c
             (username, home_id, gateway_id, role, password_iterations, password_salt, password_hash, password_sealed)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
           ON CONFLICT (username) DO UPDATE
             SET gateway_id = excluded.gateway_id, role = excluded.role, password_iterations = excluded.password_iterations,
               password_salt = excluded.password_salt, password_hash = excluded.password_hash,
               password_sealed = excluded.password_sealed
             WHERE c.home_id = excluded.home_id
           RETURNING 1`,
          [
            username,
            homeId,
            gatewayId,
            role,
            iterations,
            salt,
            hash,
            password === undefined ? null : this.secrets.seal(username, password),
          ],
        );
        if (stored.length === 0)
          throw new Mqtt2goError('conflict', `The user name ${username} is another home’s there.`);
      }
    });
  }

  private async inMove<T>(
    { homeId, moveId }: OneMove,
    standings: readonly HomeStandingName[],
    work: (manager: EntityManager) => Promise<T>,
  ): Promise<T> {
    return this.dataSource.transaction(async (manager) => {
      const current = await this.moves.find(manager, homeId);
      if (current?.moveId !== moveId || !standings.includes(current.standing)) {
        throw new Mqtt2goError('conflict', 'The home is not in this move.');
      }
      return work(manager);
    });
  }
}

function pageOf<Record>(after: string, records: readonly Record[], keyOf: (record: Record) => string): Page<Record> {
  const last = records.length < pageSize ? undefined : records.at(-1);
  return { after, records, ...(last === undefined ? {} : { upTo: keyOf(last) }) };
}

/** As `toISOString` writes it. */
const iso = (column: string): string => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** One that is only being added does not move: there is none while a home may leave. */
const selectDevices = `
  SELECT d.device_id AS "deviceId", d.gateway_id AS "gatewayId", d.device_type AS "deviceType",
    d.pending_onboarding_id AS "pendingOnboardingId", d.named_onboarding_id AS "namedOnboardingId",
    array(SELECT group_id FROM topic_generator.device_group g WHERE g.device_id = d.device_id ORDER BY 1) AS "groupIds",
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'serialNumber', c.serial_number, 'onboardingId', c.onboarding_id, 'gatewayId', c.gateway_id,
        'deviceType', c.device_type, 'admittedAt', ${iso('c.admitted_at')}, 'droppedAt', ${iso('c.dropped_at')})
        ORDER BY c.serial_number), '[]')
      FROM topic_generator.device_certificate c WHERE c.device_id = d.device_id) AS certificates
  FROM topic_generator.device d
  WHERE d.home_id = $1 AND d.device_id COLLATE "C" > $2
  ORDER BY d.device_id COLLATE "C" LIMIT $3`;

const upsertDevices = `
  INSERT INTO topic_generator.device (device_id, home_id, gateway_id, device_type, pending_onboarding_id,
    named_onboarding_id)
  SELECT "deviceId", $1, "gatewayId", "deviceType", "pendingOnboardingId", "namedOnboardingId"
  FROM jsonb_to_recordset($2::jsonb) AS r("deviceId" varchar, "gatewayId" varchar, "deviceType" varchar,
    "pendingOnboardingId" uuid, "namedOnboardingId" uuid)
  ON CONFLICT (device_id) DO UPDATE SET gateway_id = excluded.gateway_id, device_type = excluded.device_type,
    named_onboarding_id = excluded.named_onboarding_id, pending_onboarding_id = excluded.pending_onboarding_id`;

const insertGroups = `
  INSERT INTO topic_generator.device_group (device_id, group_id)
  SELECT "deviceId", g FROM jsonb_to_recordset($1::jsonb) AS r("deviceId" varchar, "groupIds" jsonb),
    jsonb_array_elements_text("groupIds") AS g
  ON CONFLICT DO NOTHING`;

/** A certificate that either side has turned away stays turned away. */
const upsertCertificates = `
  INSERT INTO topic_generator.device_certificate AS c
    (device_id, serial_number, onboarding_id, gateway_id, device_type, admitted_at, dropped_at)
  SELECT r."deviceId", k."serialNumber", k."onboardingId", k."gatewayId", k."deviceType", k."admittedAt", k."droppedAt"
  FROM jsonb_to_recordset($1::jsonb) AS r("deviceId" varchar, certificates jsonb),
    jsonb_to_recordset(r.certificates) AS k("serialNumber" varchar, "onboardingId" uuid, "gatewayId" varchar,
      "deviceType" varchar, "admittedAt" timestamptz, "droppedAt" timestamptz)
  ON CONFLICT (device_id, serial_number) DO UPDATE SET onboarding_id = excluded.onboarding_id,
    gateway_id = excluded.gateway_id, device_type = excluded.device_type, admitted_at = excluded.admitted_at,
    dropped_at = coalesce(c.dropped_at, excluded.dropped_at)`;

const selectControllers = `
  SELECT username, gateway_id AS "gatewayId", role, password_iterations AS iterations, password_salt AS salt,
    password_hash AS hash, password_sealed AS sealed
  FROM topic_generator.controller WHERE home_id = $1 AND role <> 'bridge' AND username COLLATE "C" > $2
  ORDER BY username COLLATE "C" LIMIT $3`;
