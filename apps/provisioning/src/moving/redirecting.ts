import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { atHomeSql } from '../onboarding/onboarding.entity.js';
import { HomeReplies } from '../traffic/home-replies.js';
import { HomeStandings } from './home-standings.js';

interface ToldRow {
  readonly revision: string;
  readonly topic: string;
  readonly broker: string | null;
}

/** Tells devices unasked where their home is now. Those that are away find it with what else is kept for them. */
@Injectable()
export class Redirecting {
  constructor(
    private readonly dataSource: DataSource,
    private readonly standings: HomeStandings,
    private readonly replies: HomeReplies,
  ) {}

  /**
   * Returns how many were told: those that are the home's and have been at its broker. Without ids the apps are, where
   * they once added a device.
   * @throws Mqtt2goError `conflict` unless the home has left in this move
   */
  async tell(homeId: string, moveId: string, deviceIds: readonly string[]): Promise<number> {
    await this.dataSource.transaction((manager) =>
      this.standings.requireIn(manager, homeId, moveId, ['draining', 'moved']),
    );
    const to = this.standings.redirectOf(homeId);
    if (to === undefined) throw new Mqtt2goError('conflict', 'The home has not left.');
    const rows = await this.dataSource.query<ToldRow[]>(
      deviceIds.length === 0
        ? `SELECT DISTINCT controller_revision AS revision, controller_topic AS topic, controller_broker AS broker
           FROM onboarding WHERE home_id = $1 AND ${atHomeSql}`
        : `SELECT device_revision AS revision, device_topic AS topic, device_broker AS broker FROM onboarding
       WHERE home_id = $1 AND device_id = ANY($2::varchar[]) AND ${atHomeSql} AND device_topic IS NOT NULL`,
      deviceIds.length === 0 ? [homeId] : [homeId, deviceIds],
    );
    await this.replies.send(
      rows.map(({ revision, topic, broker }) => ({
        to: { revision, topic, ...(broker === null ? {} : { broker }) },
        message: { kind: 'broker-moved', brokerHost: to.host, brokerPort: to.port },
      })),
    );
    return rows.length;
  }
}
