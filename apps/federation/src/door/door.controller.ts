import type { TLSSocket } from 'node:tls';
import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { GatewayCaller } from '../link/contract.js';
import { DoorCallers } from './door-callers.js';
import { DoorVerbs } from './door-verbs.js';

/** `POST /v1/<verb>`: whoever comes is known by the certificate of the connection and by nothing in the request. */
@Controller('v1')
export class DoorController {
  constructor(
    private readonly callers: DoorCallers,
    private readonly verbs: DoorVerbs,
  ) {}

  @Post(':verb')
  @HttpCode(200)
  async ask(@Param('verb') verb: string, @Body() body: unknown, @Req() request: FastifyRequest): Promise<unknown> {
    const caller: GatewayCaller = await this.callers.require(request.raw.socket as TLSSocket);
    return this.verbs.answer(verb, caller, body);
  }
}
