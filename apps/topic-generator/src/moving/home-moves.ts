import { callerActor, writeAudit } from '@mqtt2go/audit';
import { currentCaller } from '@mqtt2go/messaging';
import { type BrokerAddress, type HomeStanding, nextStanding } from '@mqtt2go/moving';
import { type HomeStandingName, Mqtt2goError, type MoveStepName } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { GatewayTrust } from '../access/gateway-trust.js';
import { HomeBrokers } from '../access/home-brokers.js';
import { principalsOf } from '../access/home-principals.js';
import { Homes } from '../homes/homes.js';
import { schema } from '../schema.js';

export interface MoveStep {
  readonly homeId: string;
  readonly moveId: string;
  readonly step: MoveStepName;
  /** For `drain`. */
  readonly to?: BrokerAddress | undefined;
}

interface HomeRow {
  readonly standing: HomeStandingName;
  readonly move_id: string | null;
  readonly moved_to_host: string | null;
  readonly moved_to_port: number | null;
}

/** Which steps change whom the home's broker serves. */
const changesAccess: ReadonlySet<MoveStepName> = new Set<MoveStepName>(['release', 'prepare', 'discard']);

/** The standing of homes that move from one platform to another. */
@Injectable()
export class HomeMoves {
  constructor(
    private readonly dataSource: DataSource,
    private readonly homes: Homes,
    private readonly brokers: HomeBrokers,
    private readonly trust: GatewayTrust,
  ) {}

  /**
   * Takes a step of a move: stored and committed, then put to the broker. Taken again, it does what is left of it.
   * @throws Mqtt2goError as `nextStanding`; `unavailable` without the broker
   */
  async take(move: MoveStep): Promise<HomeStandingName | undefined> {
    const { homeId, step } = move;
    // Where nothing is left, only the names of before tell the broker who goes.
    const leaving = step === 'discard' || step === 'take' ? await principalsOf(this.dataSource, homeId) : [];
    const standing = await this.dataSource.transaction((manager) => this.store(manager, move));
    if (standing === undefined) {
      await this.brokers.sync(homeId, leaving);
      if (step === 'discard') await this.dataSource.transaction((manager) => this.remove(manager, move));
      await this.trust.tellBrokers();
      this.homes.forget(homeId);
      return undefined;
    }
    // Before anybody is told to come.
    if (step === 'prepare') await this.trust.tellBrokers();
    if (step === 'take') await this.brokers.sync(homeId, leaving);
    if (changesAccess.has(step)) await this.brokers.sync(homeId, await principalsOf(this.dataSource, homeId));
    return standing;
  }

  async find(manager: EntityManager, homeId: string): Promise<HomeStanding | undefined> {
    const [row] = await manager.query<HomeRow[]>(
      `SELECT standing, move_id, moved_to_host, moved_to_port FROM topic_generator.home WHERE home_id = $1 FOR UPDATE`,
      [homeId],
    );
    if (row === undefined) return undefined;
    const { standing, move_id: moveId, moved_to_host: host, moved_to_port: port } = row;
    return {
      standing,
      moveId: moveId ?? undefined,
      movedTo: host === null || port === null ? undefined : { host, port },
    };
  }

  private async store(
    manager: EntityManager,
    { homeId, moveId, step, to }: MoveStep,
  ): Promise<HomeStandingName | undefined> {
    const stored = await this.find(manager, homeId);
    // One that was only placed here, or is only reached from here, comes as one that was never here.
    const isHosted = step === 'receive' && stored?.standing === 'here' && !(await hasDevices(manager, homeId));
    const current = isHosted ? undefined : stored;
    if (step === 'receive') await this.requireGoingOn(manager, moveId);
    const change = nextStanding(current, step, moveId, to);
    if (step === 'discard') await this.noteDiscarded(manager, moveId);
    if (change.outcome === 'unchanged') return current?.standing;
    if (change.outcome === 'gone') {
      // Served by nobody from here on; the rows go when the broker has forgotten them.
      await manager.query(`UPDATE topic_generator.home SET standing = 'arriving' WHERE home_id = $1`, [homeId]);
      return undefined;
    }
    if (isHosted) {
      await manager.query(
        `UPDATE topic_generator.home SET hosted = array(
           SELECT username FROM topic_generator.controller WHERE home_id = $1) WHERE home_id = $1`,
        [homeId],
      );
    } else if (current === undefined) {
      await this.homes.ensureHome(manager, homeId, true);
    }
    const { standing, movedTo } = change.to;
    await manager.query(
      `UPDATE topic_generator.home SET standing = $2, move_id = $3, moved_to_host = $4, moved_to_port = $5
       WHERE home_id = $1`,
      [homeId, standing, moveId, movedTo?.host ?? null, movedTo?.port ?? null],
    );
    if (step === 'take') {
      await manager.query(`UPDATE topic_generator.home SET hosted = NULL WHERE home_id = $1`, [homeId]);
      await manager.query(`DELETE FROM topic_generator.controller WHERE home_id = $1 AND role = 'bridge'`, [homeId]);
    }
    await this.audit(manager, homeId, { step, standing, moveId, ...(to && { to: `${to.host}:${to.port}` }) });
    return standing;
  }

  /** A home that was received and has come to nothing. */
  private async remove(manager: EntityManager, { homeId, moveId }: MoveStep): Promise<void> {
    const current = await this.find(manager, homeId);
    if (current?.standing !== 'arriving' || current.moveId !== moveId || current.movedTo !== undefined) return;
    await manager.query(
      `DELETE FROM topic_generator.device_certificate c USING topic_generator.device d
       WHERE d.device_id = c.device_id AND d.home_id = $1`,
      [homeId],
    );
    for (const table of ['device', 'home_group']) {
      await manager.query(`DELETE FROM topic_generator.${table} WHERE home_id = $1`, [homeId]);
    }
    const [before] = await manager.query<{ hosted: string[] | null }[]>(
      'SELECT hosted FROM topic_generator.home WHERE home_id = $1',
      [homeId],
    );
    const hosted = before?.hosted ?? null;
    await manager.query(
      'DELETE FROM topic_generator.controller WHERE home_id = $1 AND username <> ALL($2::varchar[])',
      [homeId, hosted ?? []],
    );
    if (hosted !== null) {
      await manager.query(
        `UPDATE topic_generator.home SET standing = 'here', move_id = NULL, hosted = NULL WHERE home_id = $1`,
        [homeId],
      );
    } else {
      for (const table of ['gateway', 'home']) {
        await manager.query(`DELETE FROM topic_generator.${table} WHERE home_id = $1`, [homeId]);
      }
    }
    await this.audit(manager, homeId, { step: 'discard', moveId });
  }

  private async requireGoingOn(manager: EntityManager, moveId: string): Promise<void> {
    const discarded = await manager.query<unknown[]>(
      'SELECT 1 FROM topic_generator.discarded_move WHERE move_id = $1',
      [moveId],
    );
    if (discarded.length > 0) throw new Mqtt2goError('conflict', 'The move was undone.');
  }

  private async noteDiscarded(manager: EntityManager, moveId: string): Promise<void> {
    await manager.query('INSERT INTO topic_generator.discarded_move (move_id) VALUES ($1) ON CONFLICT DO NOTHING', [
      moveId,
    ]);
  }

  private async audit(manager: EntityManager, homeId: string, details: Record<string, string>): Promise<void> {
    const actor = callerActor(currentCaller(), 'federation');
    await writeAudit(manager, schema, [{ actor, action: 'home.moving', homeId, details }]);
  }
}

async function hasDevices(manager: EntityManager, homeId: string): Promise<boolean> {
  const rows = await manager.query<unknown[]>('SELECT 1 FROM topic_generator.device WHERE home_id = $1 LIMIT 1', [
    homeId,
  ]);
  return rows.length > 0;
}
