import { Answers, moving } from '@mqtt2go/messaging';
import { Controller, Optional } from '@nestjs/common';
import type { z } from 'zod';
import { Mover, requireMover } from './mover.js';
import { viewOf } from './moves-repository.js';

/** Moves on the bus. */
@Controller()
export class MovingController {
  constructor(@Optional() private readonly mover?: Mover) {}

  @Answers(moving.moveHome)
  async moveHome({
    homeId,
    to,
  }: z.output<typeof moving.moveHome.input>): Promise<z.input<typeof moving.moveHome.output>> {
    return viewOf(await requireMover(this.mover).start(homeId, to));
  }

  @Answers(moving.getHomeMove)
  async getHomeMove({
    homeId: given,
  }: z.output<typeof moving.getHomeMove.input>): Promise<z.input<typeof moving.getHomeMove.output>> {
    const mover = requireMover(this.mover);
    const { homeId, move } = await mover.view(given);
    const { standing, devices } = await mover.own.standing({ homeId });
    return { homeId, standing, devices, ...(move === undefined ? {} : { move: viewOf(move) }) };
  }
}
