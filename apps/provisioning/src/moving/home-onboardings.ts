import type { FactoryRecord, HomeOnboarding } from '@mqtt2go/messaging';
import { deviceType } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { FactoryRegistry } from '../factory/factory-registry.js';
import { atHomeSql } from '../onboarding/onboarding.entity.js';
import { HomeStandings } from './home-standings.js';

const pageSize = 50;

export interface OneMove {
  readonly homeId: string;
  readonly moveId: string;
}

/** All records whose device ids, as bytes, are after `after`, up to and with `upTo`; to the end without. */
export interface Page<Record> {
  readonly after: string;
  readonly upTo?: string | undefined;
  readonly records: Record[];
}

/** The onboardings of a home's devices that have come, with names, groups and topics, and their factory records, in pages. */
@Injectable()
export class HomeOnboardings {
  constructor(
    private readonly dataSource: DataSource,
    private readonly standings: HomeStandings,
    private readonly factory: FactoryRegistry,
  ) {}

  /** @throws Mqtt2goError `conflict` unless the home is in this move, on either side of it */
  async page({ homeId, moveId }: OneMove, after: string): Promise<Page<HomeOnboarding>> {
    return this.dataSource.transaction(async (manager) => {
      await this.standings.requireIn(manager, homeId, moveId, ['leaving', 'draining', 'moved', 'arriving', 'prepared']);
      const rows = await manager.query<HomeOnboarding[]>(selectPage, [homeId, after, pageSize]);
      return pageOf(after, rows, ({ deviceId }) => deviceId, rows.length);
    });
  }

  /**
   * Takes a page in; its devices are awaited from then on.
   * @param broker the name of the home broker that the home is on here
   * @throws Mqtt2goError `conflict` unless the home arrives in this move
   */
  async takePage(
    { homeId, moveId }: OneMove,
    { after, upTo, records }: Page<HomeOnboarding>,
    broker: string,
  ): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await this.standings.requireIn(manager, homeId, moveId, ['arriving', 'prepared']);
      const ids = records.map(({ onboardingId }) => onboardingId);
      await manager.query(
        `DELETE FROM onboarding WHERE home_id = $1 AND ${atHomeSql} AND device_id COLLATE "C" > $2
           AND ($3::varchar IS NULL OR device_id COLLATE "C" <= $3) AND onboarding_id <> ALL($4::uuid[])`,
        [homeId, after, upTo ?? null, ids],
      );
      await manager.query(
        `DELETE FROM awaited_device WHERE home_id = $1 AND device_id COLLATE "C" > $2
           AND ($3::varchar IS NULL OR device_id COLLATE "C" <= $3)`,
        [homeId, after, upTo ?? null],
      );
      await manager.query(upsertPage, [homeId, JSON.stringify(records), broker]);
      await manager.query(
        `INSERT INTO awaited_device (device_id, home_id) SELECT unnest($2::varchar[]), $1::varchar
         ON CONFLICT (device_id) DO UPDATE SET home_id = excluded.home_id`,
        [homeId, records.map(({ deviceId }) => deviceId)],
      );
    });
  }

  /** Of the home's devices whose codes can be told. Same errors as {@link page}. */
  async factoryPage({ homeId, moveId }: OneMove, after: string): Promise<Page<FactoryRecord>> {
    const rows = await this.dataSource.transaction(async (manager) => {
      await this.standings.requireIn(manager, homeId, moveId, ['leaving', 'draining', 'moved', 'arriving', 'prepared']);
      return manager.query<{ device_id: string }[]>(
        `SELECT device_id FROM onboarding WHERE home_id = $1 AND ${atHomeSql} AND device_id COLLATE "C" > $2
         ORDER BY device_id COLLATE "C" LIMIT $3`,
        [homeId, after, pageSize],
      );
    });
    const records = await this.factory.tell(rows.map(({ device_id }) => device_id));
    const last = rows.length < pageSize ? undefined : rows.at(-1)?.device_id;
    return { after, records, ...(last === undefined ? {} : { upTo: last }) };
  }

  /** @throws Mqtt2goError `conflict` unless the home arrives in this move */
  async addFactoryRecords({ homeId, moveId }: OneMove, records: readonly FactoryRecord[]): Promise<void> {
    await this.dataSource.transaction((manager) =>
      this.standings.requireIn(manager, homeId, moveId, ['arriving', 'prepared']),
    );
    await this.factory.add(records.filter(({ device_type }) => deviceType.safeParse(device_type).success));
  }

  async awaited(homeId: string, after: string): Promise<{ deviceIds: string[]; upTo?: string; total: number }> {
    const limit = 500;
    const rows = await this.dataSource.query<{ device_id: string; total: number }[]>(
      `SELECT device_id, (SELECT count(*)::integer FROM awaited_device WHERE home_id = $1) AS total
       FROM awaited_device WHERE home_id = $1 AND device_id COLLATE "C" > $2 ORDER BY device_id COLLATE "C" LIMIT $3`,
      [homeId, after, limit],
    );
    const deviceIds = rows.map(({ device_id }) => device_id);
    const last = deviceIds.length < limit ? undefined : deviceIds.at(-1);
    return { deviceIds, total: rows[0]?.total ?? 0, ...(last === undefined ? {} : { upTo: last }) };
  }
}

function pageOf<Record>(
  after: string,
  records: Record[],
  keyOf: (record: Record) => string,
  read: number,
): Page<Record> {
  const last = read < pageSize ? undefined : records.at(-1);
  return { after, records, ...(last === undefined ? {} : { upTo: keyOf(last) }) };
}

const iso = (column: string): string => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const selectPage = `
  SELECT state, onboarding_id AS "onboardingId", device_id AS "deviceId", gateway_id AS "gatewayId",
    device_type AS "deviceType", key_mode AS "keyMode", request_digest AS "requestDigest",
    ${iso('requested_at')} AS "requestedAt", ${iso('deadline')} AS deadline, version, certified,
    announced_again AS "announcedAgain", jsonb_build_object('revision', controller_revision, 'topic', controller_topic) AS controller,
    CASE WHEN device_topic IS NULL THEN NULL
      ELSE jsonb_build_object('revision', device_revision, 'topic', device_topic) END AS device,
    device_name AS "deviceName", group_ids AS "groupIds", topics
  FROM onboarding WHERE home_id = $1 AND ${atHomeSql} AND device_id COLLATE "C" > $2
  ORDER BY device_id COLLATE "C" LIMIT $3`;

const columns = `gateway_id, device_type, key_mode, request_digest, state, version, requested_at, deadline, certified,
  announced_again, controller_revision, controller_topic, controller_broker, device_revision, device_topic,
  device_broker, device_name, group_ids, topics, reason, activation_code, changed_at`;

const upsertPage = `
  INSERT INTO onboarding (onboarding_id, device_id, home_id, lease_until, ${columns})
  SELECT r."onboardingId", r."deviceId", $1, clock_timestamp(), r."gatewayId", r."deviceType", r."keyMode",
    r."requestDigest", r.state, r.version, r."requestedAt", r.deadline, r.certified, r."announcedAgain",
    r.controller->>'revision', r.controller->>'topic', $3::varchar, r.device->>'revision', r.device->>'topic',
    CASE WHEN r.device->>'topic' IS NOT NULL THEN $3::varchar END, r."deviceName",
    array(SELECT jsonb_array_elements_text(r."groupIds")), array(SELECT jsonb_array_elements_text(r.topics)),
    NULL, NULL, clock_timestamp()
  FROM jsonb_to_recordset($2::jsonb) AS r(state varchar, "onboardingId" uuid, "deviceId" varchar, "gatewayId" varchar,
    "deviceType" varchar, "keyMode" varchar, "requestDigest" varchar, version integer, "requestedAt" timestamptz,
    deadline timestamptz, certified boolean, "announcedAgain" boolean, controller jsonb, device jsonb,
    "deviceName" varchar, "groupIds" jsonb, topics jsonb)
  ON CONFLICT (onboarding_id) DO UPDATE SET (${columns}) = ROW(${columns
    .split(',')
    .map((column) => `excluded.${column.trim()}`)
    .join(', ')})`;
