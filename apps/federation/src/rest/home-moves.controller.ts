import { traced } from '@mqtt2go/messaging';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { ApiOperation, ApiResponse, OnlyService, problemResponse, Traceparent } from '@mqtt2go/runtime';
import { Body, Controller, Get, HttpCode, HttpStatus, Optional, Param, Post, UseGuards } from '@nestjs/common';
import type { z } from 'zod';
import { Mover, requireMover } from '../moving/mover.js';
import { viewOf } from '../moving/moves-repository.js';
import { type HomeMove, homeMove, homeMoveOf, homeParams, type MoveRequest, moveRequest } from './home-move.js';

type Params = z.output<typeof homeParams>;

const path = 'homes/:home_id/move';

/** Moves over HTTPS, for the operator's programs on a gateway. */
@Controller(path)
@UseGuards(new OnlyService('operator'))
export class HomeMovesController {
  constructor(@Optional() private readonly mover?: Mover) {}

  @Post()
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({
    summary: 'Begins to move the home to the cloud (`remote`) or to its gateway (`local`).',
    description: 'Idempotent while the home moves there. What becomes of the move is told by GET.',
  })
  @ApiResponse({ status: 202, description: 'The home moves.', standardSchema: homeMove })
  @ApiResponse(problemResponse(400, '`malformed_message`, `invalid_identifier`'))
  @ApiResponse(problemResponse(403, '`forbidden`: the certificate is of a service'))
  @ApiResponse(problemResponse(404, '`unknown_home`: not the home of this gateway; `not_enrolled`'))
  @ApiResponse(problemResponse(409, '`conflict`: the home is there; `home_is_moving`: in the other direction'))
  @ApiResponse(problemResponse(413, '`message_too_large`: over 4 KiB'))
  @ApiResponse(problemResponse(415, '`malformed_message`: not application/json'))
  @ApiResponse(problemResponse(503, '`unavailable`: repeat the request'))
  @ApiResponse(problemResponse('default', 'Any other refusal.'))
  async moveHome(
    @Param({ schema: homeParams }) { home_id: homeId }: Params,
    @Body({ schema: moveRequest }) { to }: MoveRequest,
    @Traceparent() parent?: string,
  ): Promise<HomeMove> {
    const start = () => requireMover(this.mover).start(homeId, to);
    return homeMoveOf(viewOf(await traced(`POST /${path}`, start, { kind: 'server', parent })));
  }

  @Get()
  @ApiOperation({ summary: 'Tells how the newest move of the home goes, or went.' })
  @ApiResponse({ status: 200, description: 'The newest move.', standardSchema: homeMove })
  @ApiResponse(problemResponse(400, '`invalid_identifier`'))
  @ApiResponse(problemResponse(403, '`forbidden`: the certificate is of a service'))
  @ApiResponse(
    problemResponse(404, '`unknown_home`: not the home of this gateway; `unknown_move`: none yet; `not_enrolled`'),
  )
  @ApiResponse(problemResponse('default', 'Any other refusal.'))
  async getHomeMove(@Param({ schema: homeParams }) { home_id: homeId }: Params): Promise<HomeMove> {
    const { move } = await requireMover(this.mover).view(homeId);
    if (move === undefined) throw new Mqtt2goError('unknown_move');
    return homeMoveOf(viewOf(move));
  }
}
