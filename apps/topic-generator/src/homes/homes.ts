import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';

/** The homes and their gateways. */
@Injectable()
export class Homes {
  constructor(private readonly dataSource: DataSource) {}

  async hasGateway(homeId: string, gatewayId: string): Promise<boolean> {
    const rows = await this.dataSource.query<unknown[]>(
      'SELECT 1 FROM topic_generator.gateway WHERE home_id = $1 AND gateway_id = $2',
      [homeId, gatewayId],
    );
    return rows.length > 0;
  }

  /** Makes home and gateway unless they are there. */
  async ensureGateway(manager: EntityManager, homeId: string, gatewayId: string): Promise<void> {
    await manager.query('INSERT INTO topic_generator.home (home_id) VALUES ($1) ON CONFLICT DO NOTHING', [homeId]);
    await manager.query(
      'INSERT INTO topic_generator.gateway (home_id, gateway_id) VALUES ($1, $2) ON CONFLICT DO NOTHING',
      [homeId, gatewayId],
    );
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
}
