import { Answers, moving } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { z } from 'zod';
import { HomeBrokers } from '../access/home-brokers.js';
import { HomeMoves } from './home-moves.js';
import { HomePages } from './home-pages.js';

type Input<C extends { input: z.ZodType }> = z.output<C['input']>;
type Answer<C extends { output: z.ZodType }> = Promise<z.input<C['output']>>;

interface StandingRow {
  readonly broker: string | null;
  readonly gateways: string[];
  readonly devices: number;
  readonly controllers: number;
}

/** Homes that move, on the bus. */
@Controller()
export class MovingController {
  constructor(
    private readonly dataSource: DataSource,
    private readonly moves: HomeMoves,
    private readonly pages: HomePages,
    private readonly brokers: HomeBrokers,
  ) {}

  @Answers(moving.getHomeStanding)
  async getHomeStanding({ homeId }: Input<typeof moving.getHomeStanding>): Answer<typeof moving.getHomeStanding> {
    const current = await this.dataSource.transaction((manager) => this.moves.find(manager, homeId));
    const [row] = await this.dataSource.query<StandingRow[]>(
      `SELECT broker,
         array(SELECT gateway_id FROM topic_generator.gateway WHERE home_id = $1 ORDER BY 1) AS gateways,
         (SELECT count(*)::integer FROM topic_generator.device WHERE home_id = $1) AS devices,
         (SELECT count(*)::integer FROM topic_generator.controller
           WHERE home_id = $1 AND role <> 'bridge') AS controllers
       FROM topic_generator.home WHERE home_id = $1`,
      [homeId],
    );
    const broker = row?.broker ?? undefined;
    const trustsGateways = this.brokers.trustsGateways(broker);
    if (current === undefined || row === undefined) return { trustsGateways, gateways: [], devices: 0, controllers: 0 };
    return { ...current, ...row, broker, trustsGateways };
  }

  @Answers(moving.moveHomeAccess)
  async moveHomeAccess(step: Input<typeof moving.moveHomeAccess>): Answer<typeof moving.moveHomeAccess> {
    return { standing: await this.moves.take(step) };
  }

  @Answers(moving.exportHomeStructure)
  async exportHomeStructure(move: Input<typeof moving.exportHomeStructure>): Answer<typeof moving.exportHomeStructure> {
    const { gatewayIds, groupIds } = await this.pages.structure(move);
    return { gatewayIds: [...gatewayIds], groupIds: [...groupIds] };
  }

  @Answers(moving.importHomeStructure)
  async importHomeStructure(move: Input<typeof moving.importHomeStructure>): Answer<typeof moving.importHomeStructure> {
    await this.pages.takeStructure(move, move.structure);
    return {};
  }

  @Answers(moving.exportHomeDevices)
  async exportHomeDevices(move: Input<typeof moving.exportHomeDevices>): Answer<typeof moving.exportHomeDevices> {
    const page = await this.pages.devices(move, move.after);
    return { ...page, records: [...page.records] };
  }

  @Answers(moving.importHomeDevices)
  async importHomeDevices(move: Input<typeof moving.importHomeDevices>): Answer<typeof moving.importHomeDevices> {
    await this.pages.takeDevices(move, move);
    return {};
  }

  @Answers(moving.exportHomeControllers)
  async exportHomeControllers(
    move: Input<typeof moving.exportHomeControllers>,
  ): Answer<typeof moving.exportHomeControllers> {
    const page = await this.pages.controllers(move, move.after);
    return { ...page, records: [...page.records] };
  }

  @Answers(moving.importHomeControllers)
  async importHomeControllers(
    move: Input<typeof moving.importHomeControllers>,
  ): Answer<typeof moving.importHomeControllers> {
    await this.pages.takeControllers(move, move);
    return {};
  }
}
