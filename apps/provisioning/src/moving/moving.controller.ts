import { Answers, moving } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { HomeBrokers } from '../traffic/home-brokers.js';
import { HomeOnboardings } from './home-onboardings.js';
import { HomeStandings } from './home-standings.js';
import { Redirecting } from './redirecting.js';

type Input<C extends { input: z.ZodType }> = z.output<C['input']>;
type Answer<C extends { output: z.ZodType }> = Promise<z.input<C['output']>>;

/** Homes that move, on the bus. */
@Controller()
export class MovingController {
  constructor(
    private readonly standings: HomeStandings,
    private readonly onboardings: HomeOnboardings,
    private readonly redirecting: Redirecting,
    private readonly brokers: HomeBrokers,
  ) {}

  @Answers(moving.moveHomeOnboardings)
  async moveHomeOnboardings(step: Input<typeof moving.moveHomeOnboardings>): Answer<typeof moving.moveHomeOnboardings> {
    return { standing: await this.standings.take(step) };
  }

  @Answers(moving.exportHomeOnboardings)
  async exportHomeOnboardings(
    move: Input<typeof moving.exportHomeOnboardings>,
  ): Answer<typeof moving.exportHomeOnboardings> {
    return this.onboardings.page(move, move.after);
  }

  @Answers(moving.importHomeOnboardings)
  async importHomeOnboardings(
    move: Input<typeof moving.importHomeOnboardings>,
  ): Answer<typeof moving.importHomeOnboardings> {
    await this.onboardings.takePage(move, move, move.broker);
    return {};
  }

  @Answers(moving.exportFactoryRecords)
  async exportFactoryRecords(
    move: Input<typeof moving.exportFactoryRecords>,
  ): Answer<typeof moving.exportFactoryRecords> {
    return this.onboardings.factoryPage(move, move.after);
  }

  @Answers(moving.addFactoryRecords)
  async addFactoryRecords(move: Input<typeof moving.addFactoryRecords>): Answer<typeof moving.addFactoryRecords> {
    await this.onboardings.addFactoryRecords(move, move.records);
    return {};
  }

  @Answers(moving.getBrokerAddress)
  async getBrokerAddress({ broker }: Input<typeof moving.getBrokerAddress>): Answer<typeof moving.getBrokerAddress> {
    const { host, port } = this.brokers.addressOf(broker);
    return { host, port };
  }

  @Answers(moving.listAwaitedDevices)
  async listAwaitedDevices({
    homeId,
    after,
  }: Input<typeof moving.listAwaitedDevices>): Answer<typeof moving.listAwaitedDevices> {
    return this.onboardings.awaited(homeId, after);
  }

  @Answers(moving.redirectDevices)
  async redirectDevices({
    homeId,
    moveId,
    deviceIds,
  }: Input<typeof moving.redirectDevices>): Answer<typeof moving.redirectDevices> {
    return { told: await this.redirecting.tell(homeId, moveId, deviceIds) };
  }
}
