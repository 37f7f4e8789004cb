import { Mqtt2goError } from '@mqtt2go/protocol';
import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Enrolling } from '../gateways/enrolling.js';
import { enrol } from '../link/verbs.js';
import { EnrolAttempts } from './attempts.js';
import { DoorCallers } from './door-callers.js';
import { DoorVerbs } from './door-verbs.js';

/** `POST /v1/<verb>`: whoever comes is known by the certificate of the connection and by nothing in the request. */
@Controller('v1')
export class DoorController {
  constructor(
    private readonly callers: DoorCallers,
    private readonly verbs: DoorVerbs,
    private readonly enrolling: Enrolling,
    private readonly attempts: EnrolAttempts,
  ) {}

  /** The one verb without a certificate. */
  @Post('enrol')
  @HttpCode(200)
  async enrol(@Body() body: unknown, @Req() request: FastifyRequest): Promise<unknown> {
    return this.attempts.run(request.raw.socket.remoteAddress ?? '', async () => {
      const asked = enrol.input.safeParse(body);
      if (!asked.success) throw new Mqtt2goError('malformed_message', `enrol: ${z.prettifyError(asked.error)}`);
      return this.enrolling.enrol(asked.data);
    });
  }

  @Post(':verb')
  @HttpCode(200)
  async ask(@Param('verb') verb: string, @Body() body: unknown, @Req() request: FastifyRequest): Promise<unknown> {
    const caller = await this.callers.require(request.raw.socket);
    return this.verbs.answer(verb, caller, body);
  }
}
