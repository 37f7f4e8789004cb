import { Clock } from '@mqtt2go/ports';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { awaitedOf, relocate, type Sides } from './move-steps.js';
import { type Move, MovesRepository } from './moves-repository.js';
import { MoverSettings, sidesOf } from './mover-settings.js';

/** How long the Discovery server tells devices of a home where it is now, if they do not come. */
const relocationMs = 365 * 24 * 3_600_000;
const perCall = 500;

/**
 * Devices that the Discovery server tells where their home is. It does so until they have come there, whenever that is, and
 * for a year at the most: an answer to whoever shows a device's code is given no longer than it is needed.
 */
@Injectable()
export class Relocations {
  constructor(
    private readonly dataSource: DataSource,
    private readonly repository: MovesRepository,
    private readonly clock: Clock,
    private readonly settings: MoverSettings,
  ) {}

  /** Has all devices of a home told that come to the Discovery server. Written down first: none is told for longer by a crash. */
  async tell(move: Move, sides: Sides): Promise<void> {
    const until = new Date(this.clock.now() + relocationMs);
    await relocate(move, sides, until, (deviceIds) => this.add(move.homeId, deviceIds, until));
  }

  /** Those of the home that have come are told no more. */
  async forgetArrived(homeId: string, { target, cloud }: Pick<Sides, 'target' | 'cloud'>): Promise<void> {
    const told = await this.all(homeId);
    if (told.length === 0) return;
    const away = new Set(await awaitedOf(homeId, target));
    const arrived = told.filter((deviceId) => !away.has(deviceId));
    for (let at = 0; at < arrived.length; at += perCall) {
      const deviceIds = arrived.slice(at, at + perCall);
      await cloud.forgetRelocations({ homeId, deviceIds });
      await this.remove(homeId, deviceIds);
    }
  }

  /** The same of devices that come after their home's move has ended, and of those that have not come in time. */
  async refresh(): Promise<void> {
    await this.dataSource.query('/* background */ DELETE FROM federation.relocated_device WHERE until <= $1', [
      new Date(this.clock.now()),
    ]);
    const move = await this.repository.settled(this.settings.homeId);
    if (move !== undefined) await this.forgetArrived(move.homeId, sidesOf(this.settings, move));
  }

  private async all(homeId: string): Promise<string[]> {
    const rows = await this.dataSource.query<{ device_id: string }[]>(
      '/* background */ SELECT device_id FROM federation.relocated_device WHERE home_id = $1',
      [homeId],
    );
    return rows.map(({ device_id }) => device_id);
  }

  private async add(homeId: string, deviceIds: readonly string[], until: Date): Promise<void> {
    await this.dataSource.query(
      `INSERT INTO federation.relocated_device (home_id, device_id, until) SELECT $1::varchar, unnest($2::varchar[]), $3
       ON CONFLICT (home_id, device_id) DO UPDATE SET until = excluded.until`,
      [homeId, deviceIds, until],
    );
  }

  private async remove(homeId: string, deviceIds: readonly string[]): Promise<void> {
    await this.dataSource.query(
      'DELETE FROM federation.relocated_device WHERE home_id = $1 AND device_id = ANY($2::varchar[])',
      [homeId, deviceIds],
    );
  }
}
