import { writeAudit, callerActor } from '@mqtt2go/audit';
import { currentCaller } from '@mqtt2go/messaging';
import { type BrokerAddress, type HomeStanding, nextStanding, requireChangeable, standingRule } from '@mqtt2go/moving';
import { type HomeStandingName, Mqtt2goError, type MoveStepName } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { atHomeSql, onTheWaySql } from '../onboarding/onboarding.entity.js';
import { Ticker } from '../onboarding/ticker.js';
import { schema } from '../schema.js';
import { ProvisioningSettings } from '../settings.js';

export interface MoveStep {
  readonly homeId: string;
  readonly moveId: string;
  readonly step: MoveStepName;
  /** For `drain`. */
  readonly to?: BrokerAddress | undefined;
}

interface Row {
  readonly homeId: string;
  readonly standing: HomeStandingName;
  readonly moveId: string;
  readonly host: string | null;
  readonly port: number | null;
  readonly changedAt: Date;
  readonly awaits: boolean;
}

/** What is remembered of a home that is not simply here. */
interface Known extends HomeStanding {
  /** Devices of it are still to come. */
  readonly awaits: boolean;
}

const refreshMs = 1_000;
/** A row may become visible this much later than it says. */
const overlapMs = 5_000;

/**
 * How homes stand that move. Known in memory, so that the others cost nothing: what another process has changed is seen
 * here within a second, which is why a move asks for `freeze` twice before it counts on it.
 */
@Injectable()
export class HomeStandings {
  private readonly known = new Map<string, Known>();
  private readSince = new Date(0);
  private readonly refresher: Ticker;

  constructor(
    private readonly dataSource: DataSource,
    { log }: ProvisioningSettings,
  ) {
    this.refresher = new Ticker(
      refreshMs,
      () => this.refresh(),
      (error) => log.warn({ err: error }, 'the standing of homes could not be read; trying again'),
    );
  }

  async start(): Promise<void> {
    await this.refresh();
    this.refresher.start();
  }

  async stop(): Promise<void> {
    await this.refresher.stop();
  }

  /** @throws Mqtt2goError `home_is_moving`, `home_has_moved` */
  requireChangeable(homeId: string): void {
    const known = this.known.get(homeId);
    if (known !== undefined) requireChangeable(known.standing);
  }

  /** Where the devices of a home that has left are to go; undefined for a home that is served here. */
  redirectOf(homeId: string): BrokerAddress | undefined {
    const known = this.known.get(homeId);
    if (known === undefined) return undefined;
    const isGoing = known.standing === 'draining' || standingRule(known.standing).serves === 'told';
    return isGoing ? known.movedTo : undefined;
  }

  /** Notes that a device has come. */
  async arrived(homeId: string, deviceId: string): Promise<void> {
    if (this.known.get(homeId)?.awaits !== true) return;
    await this.dataSource.query('DELETE FROM awaited_device WHERE device_id = $1', [deviceId]);
  }

  /**
   * Takes a step of a move with the home's onboardings.
   * @throws Mqtt2goError as `nextStanding`; `another_device_is_being_added`, `unavailable` for `freeze`, which is in force all the same
   */
  async take(move: MoveStep): Promise<HomeStandingName | undefined> {
    const { homeId, step } = move;
    const standing = await this.dataSource.transaction((manager) => this.store(manager, move));
    await this.read('home_id = $1', [homeId]);
    if (standing === undefined) this.known.delete(homeId);
    if (step === 'freeze') await this.requireNoneOnTheWay(homeId);
    return standing;
  }

  /** @throws Mqtt2goError `conflict` unless the home is in this move and stands in one of `standings` */
  async requireIn(
    manager: EntityManager,
    homeId: string,
    moveId: string,
    standings: readonly HomeStandingName[],
  ): Promise<void> {
    const current = await this.find(manager, homeId);
    if (current?.moveId !== moveId || !standings.includes(current.standing)) {
      throw new Mqtt2goError('conflict', 'The home is not in this move.');
    }
  }

  private async store(
    manager: EntityManager,
    { homeId, moveId, step, to }: MoveStep,
  ): Promise<HomeStandingName | undefined> {
    const stored = await this.find(manager, homeId);
    // A home without a row is here if it leaves, and unknown if it comes; which of them, the topic generator knows.
    const isHere = stored === undefined && step === 'freeze';
    const current = isHere ? ({ standing: 'here', moveId: undefined, movedTo: undefined } as const) : stored;
    const change = nextStanding(current, step, moveId, to);
    if (change.outcome === 'unchanged') return current?.standing;
    if (step === 'discard') await manager.query('DELETE FROM awaited_device WHERE home_id = $1', [homeId]);
    if (change.outcome === 'gone') {
      await manager.query(`DELETE FROM onboarding WHERE home_id = $1 AND ${atHomeSql}`, [homeId]);
      await manager.query('DELETE FROM home_standing WHERE home_id = $1', [homeId]);
      return undefined;
    }
    const { standing, movedTo } = change.to;
    await manager.query(
      `INSERT INTO home_standing (home_id, standing, move_id, moved_to_host, moved_to_port) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (home_id) DO UPDATE SET standing = excluded.standing, move_id = excluded.move_id,
         moved_to_host = excluded.moved_to_host, moved_to_port = excluded.moved_to_port, changed_at = clock_timestamp()`,
      [homeId, standing, moveId, movedTo?.host ?? null, movedTo?.port ?? null],
    );
    if (step === 'drain') await manager.query(letGo, [homeId]);
    const actor = callerActor(currentCaller(), 'federation');
    await writeAudit(manager, schema, [{ actor, action: 'home.moving', homeId, details: { step, standing, moveId } }]);
    return standing;
  }

  private async find(manager: EntityManager, homeId: string): Promise<HomeStanding | undefined> {
    const [row] = await manager.query<Row[]>(`${select} WHERE home_id = $1 FOR UPDATE`, [homeId]);
    return row === undefined ? undefined : standingOf(row);
  }

  private async requireNoneOnTheWay(homeId: string): Promise<void> {
    const open = await this.dataSource.query<{ device_id: string }[]>(
      `SELECT device_id FROM onboarding WHERE home_id = $1 AND ${onTheWaySql} LIMIT 1`,
      [homeId],
    );
    const [device] = open;
    if (device !== undefined) {
      throw new Mqtt2goError(
        'another_device_is_being_added',
        `The device ${device.device_id} is being added to the home.`,
      );
    }
    const withdrawn = await this.dataSource.query<{ device_id: string }[]>(
      `SELECT o.device_id FROM outbox x JOIN onboarding o ON o.onboarding_id = (x.payload->>'onboardingId')::uuid
       WHERE x.kind = 'withdraw-device' AND o.home_id = $1 LIMIT 1`,
      [homeId],
    );
    // Copied now, it would be let in on the other side for good.
    if (withdrawn[0] !== undefined) {
      throw new Mqtt2goError('unavailable', `The device ${withdrawn[0].device_id} is still being taken back.`);
    }
  }

  private async refresh(): Promise<void> {
    await this.read('changed_at >= $1', [new Date(this.readSince.getTime() - overlapMs)]);
  }

  private async read(condition: string, parameters: unknown[]): Promise<void> {
    const rows = await this.dataSource.query<Row[]>(`/* background */ ${select} WHERE ${condition}`, parameters);
    for (const row of rows) {
      if (row.changedAt > this.readSince) this.readSince = row.changedAt;
      if (row.standing === 'here' && !row.awaits) this.known.delete(row.homeId);
      else this.known.set(row.homeId, { ...standingOf(row), awaits: row.awaits });
    }
  }
}

/**
 * Devices without a name are named on the other side, and there it is their time runs out: here nothing of theirs is taken back
 * any more. They are kept as the others are, to be told where their home is.
 */
const letGo = `
  WITH gone AS (
    UPDATE onboarding SET state = 'active', version = version + 1, activation_code = NULL
    WHERE home_id = $1 AND state = 'awaiting-name' RETURNING onboarding_id, device_id)
  INSERT INTO outbox (kind, payload)
  SELECT 'settle-certificate',
    jsonb_build_object('onboardingId', onboarding_id, 'deviceId', device_id, 'outcome', 'completed', 'hasLeft', true)
  FROM gone`;

const select = `
  SELECT home_id AS "homeId", standing, move_id AS "moveId", moved_to_host AS host, moved_to_port AS port,
    changed_at AS "changedAt",
    EXISTS (SELECT FROM awaited_device a WHERE a.home_id = home_standing.home_id) AS awaits
  FROM home_standing`;

function standingOf({ standing, moveId, host, port }: Row): HomeStanding {
  return { standing, moveId, movedTo: host === null || port === null ? undefined : { host, port } };
}
