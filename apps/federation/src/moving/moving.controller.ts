import { Answers, moving } from '@mqtt2go/messaging';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Controller, Optional } from '@nestjs/common';
import type { z } from 'zod';
import { Mover } from './mover.js';
import { viewOf } from './moves-repository.js';

/** Moves on the bus. In the cloud, and on a gateway that is not enrolled, there is no mover. */
@Controller()
export class MovingController {
  constructor(@Optional() private readonly mover?: Mover) {}

  @Answers(moving.moveHome)
  async moveHome({
    homeId,
    to,
  }: z.output<typeof moving.moveHome.input>): Promise<z.input<typeof moving.moveHome.output>> {
    return viewOf(await this.require().start(homeId, to));
  }

  @Answers(moving.getHomeMove)
  async getHomeMove({
    homeId: given,
  }: z.output<typeof moving.getHomeMove.input>): Promise<z.input<typeof moving.getHomeMove.output>> {
    const mover = this.require();
    const { homeId, move } = await mover.view(given);
    const { standing, devices } = await mover.own.standing({ homeId });
    return { homeId, standing, devices, ...(move === undefined ? {} : { move: viewOf(move) }) };
  }

  private require(): Mover {
    if (this.mover === undefined) {
      throw new Mqtt2goError('not_enrolled', 'A home is moved by its gateway, once that is enrolled at a cloud.');
    }
    return this.mover;
  }
}
