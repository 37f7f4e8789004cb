import { auditRow, auditRows, callerActor, insertAudit, insertAuditEach } from '@mqtt2go/audit';
import { currentCaller } from '@mqtt2go/messaging';
import { requireChangeable } from '@mqtt2go/moving';
import { type HomeStandingName, Mqtt2goError } from '@mqtt2go/protocol';
import type { DataSource, EntityManager } from 'typeorm';
import { schema } from '../schema.js';

/** Of advisory locks: one home is placed at a time, whichever process does it. */
const placementLock = 0x686f6d65;
/** Homes whose broker is remembered; it never changes while they are here. */
const capacity = 10_000;

/** Of a row `h` of home: a home that is only reached through its gateway's bridge has no devices here, or has left. */
const livesHere = `(h.standing IN ('here', 'leaving', 'prepared') AND EXISTS (
  SELECT FROM topic_generator.device d WHERE d.home_id = h.home_id))`;

export interface HomesOptions {
  /** The home brokers' names, one at least. */
  readonly brokers: readonly string[];
  /** Those of {@link brokers} that can be reached: a new home is not placed on another while there is one. */
  readonly reachable: () => readonly string[];
  /** Those of {@link brokers} that a home is placed on whose gateway has issued certificates, if there are any. */
  readonly trustGateways: readonly string[];
}

/** The homes and their gateways, and which home broker each home is on. */
export class Homes {
  private readonly known = new Map<string, string>();

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: HomesOptions,
  ) {}

  /**
   * Places the homes of before there were several brokers.
   * @throws Mqtt2goError `configuration_invalid` when homes are on a broker that is not among those that there are
   */
  async placeAll(): Promise<void> {
    const { brokers } = this.options;
    await this.dataSource.query('UPDATE topic_generator.home SET broker = $1 WHERE broker IS NULL', [this.first]);
    const elsewhere = await this.dataSource.query<{ broker: string; homes: string }[]>(
      `SELECT broker, count(*) AS homes FROM topic_generator.home
       WHERE broker <> ALL($1::varchar[]) GROUP BY broker ORDER BY broker`,
      [brokers],
    );
    if (elsewhere.length === 0) return;
    const missing = elsewhere.map(({ broker, homes }) => `${broker} (${homes} homes)`).join(', ');
    throw new Mqtt2goError(
      'configuration_invalid',
      `MQTT2GO_BROKERS: homes are on home brokers that are not in it: ${missing}; it has ${brokers.join(', ')}`,
    );
  }

  /** The name of the broker that the home is on, if the home has this gateway; and whether that is bridged to it. */
  async findGateway(homeId: string, gatewayId: string): Promise<{ broker: string; isBridged: boolean } | undefined> {
    const [row] = await this.dataSource.query<{ broker: string; isBridged: boolean }[]>(
      `SELECT coalesce(h.broker, $3) AS broker, NOT ${livesHere} AND EXISTS (
         SELECT 1 FROM topic_generator.controller c
         WHERE c.home_id = g.home_id AND c.gateway_id = g.gateway_id AND c.role = 'bridge'
       ) AS "isBridged"
       FROM topic_generator.gateway g JOIN topic_generator.home h USING (home_id)
       WHERE g.home_id = $1 AND g.gateway_id = $2`,
      [homeId, gatewayId, this.first],
    );
    return row;
  }

  /** @throws Mqtt2goError `unknown_home` */
  async brokerOf(homeId: string): Promise<string> {
    const known = this.known.get(homeId);
    if (known !== undefined) return known;
    const [row] = await this.dataSource.query<{ broker: string }[]>(
      'SELECT coalesce(broker, $2) AS broker FROM topic_generator.home WHERE home_id = $1',
      [homeId, this.first],
    );
    if (row === undefined) throw new Mqtt2goError('unknown_home');
    if (this.known.size >= capacity) this.known.clear();
    this.known.set(homeId, row.broker);
    return row.broker;
  }

  /** Whether the home's devices are served here, and not by its gateway. */
  async livesHere(homeId: string): Promise<boolean> {
    const rows = await this.dataSource.query<unknown[]>(
      `SELECT 1 FROM topic_generator.home h WHERE home_id = $1 AND ${livesHere}`,
      [homeId],
    );
    return rows.length > 0;
  }

  /** The home is gone, and may be placed elsewhere when it comes again. */
  forget(homeId: string): void {
    this.known.delete(homeId);
  }

  /**
   * Lets no move begin until the transaction of `manager` ends.
   * @throws Mqtt2goError `home_is_moving`, `home_has_moved`; an unknown home is fine
   */
  async requireChangeable(manager: EntityManager, homeId: string): Promise<void> {
    const [home] = await manager.query<{ standing: HomeStandingName }[]>(
      'SELECT standing FROM topic_generator.home WHERE home_id = $1 FOR SHARE',
      [homeId],
    );
    if (home !== undefined) requireChangeable(home.standing);
  }

  /**
   * Makes a home unless it is there, on the broker with the fewest.
   * @param hasGateway whether it has a gateway of its own, whose certificates its broker should trust
   */
  async ensureHome(manager: EntityManager, homeId: string, hasGateway: boolean): Promise<void> {
    const there = await manager.query<unknown[]>('SELECT 1 FROM topic_generator.home WHERE home_id = $1', [homeId]);
    if (there.length === 0) await this.makeHome(manager, homeId, hasGateway);
  }

  /** Makes home and gateway unless they are there; a new home is placed as by {@link ensureHome}. */
  async ensureGateway(manager: EntityManager, homeId: string, gatewayId: string, hasGateway = false): Promise<void> {
    await this.ensureHome(manager, homeId, hasGateway);
    const actor = callerActor(currentCaller(), 'operator');
    await manager.query(
      `WITH made AS (
         INSERT INTO topic_generator.gateway (home_id, gateway_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1
       ), audited AS (${insertAudit(schema, '$3', 'made')})
       SELECT 1 FROM made`,
      [homeId, gatewayId, auditRows([{ actor, action: 'gateway.created', homeId, details: { gatewayId } }])],
    );
  }

  /** Makes a home that has a gateway of its own, and places it. */
  async place(homeId: string, gatewayId: string): Promise<void> {
    await this.dataSource.transaction((manager) => this.ensureGateway(manager, homeId, gatewayId, true));
  }

  /** Makes groups of a home unless they are there; in one order for all, so that two callers never wait for each other. */
  async ensureGroups(manager: EntityManager, homeId: string, groupIds: readonly string[]): Promise<void> {
    await manager.query(
      `INSERT INTO topic_generator.home_group (home_id, group_id)
       SELECT $1, group_id FROM unnest($2::varchar[]) AS group_id ORDER BY group_id
       ON CONFLICT DO NOTHING`,
      [homeId, groupIds],
    );
  }

  private get first(): string {
    return this.options.brokers[0] ?? '';
  }

  /** Whoever has the lock sees the homes that were placed before; it ends with the transaction. */
  private async makeHome(manager: EntityManager, homeId: string, hasGateway: boolean): Promise<void> {
    const { brokers: all, trustGateways } = this.options;
    const eligible = hasGateway && trustGateways.length > 0 ? trustGateways : all;
    const reachable = this.options.reachable().filter((name) => eligible.includes(name));
    const brokers = reachable.length > 0 ? reachable : eligible;
    await manager.query('SELECT pg_advisory_xact_lock($1)', [placementLock]);
    await manager.query(
      `WITH made AS (
         INSERT INTO topic_generator.home (home_id, broker)
         SELECT $1, b.name FROM unnest($2::varchar[]) WITH ORDINALITY AS b(name, place)
         ORDER BY (SELECT count(*) FROM topic_generator.home h WHERE h.broker = b.name), b.place LIMIT 1
         ON CONFLICT DO NOTHING RETURNING broker
       ), audited AS (${insertAuditEach(
         schema,
         '$3',
         'made',
         `jsonb_build_object('details', jsonb_build_object('broker', broker))`,
       )})
       SELECT 1 FROM made`,
      [homeId, brokers, auditRow({ actor: callerActor(currentCaller(), 'operator'), action: 'home.created', homeId })],
    );
  }
}
