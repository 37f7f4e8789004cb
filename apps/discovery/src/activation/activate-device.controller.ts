import { traced, withOnboarding } from '@mqtt2go/messaging';
import {
  type ActivateDeviceRequest,
  type ActivateDeviceResponse,
  activateDevicePath,
  activateDeviceRequest,
  activateDeviceResponse,
  withdrawActivationParams,
  withdrawActivationQuery,
} from '@mqtt2go/protocol';
import { ApiOperation, ApiResponse, OnlyService, problemResponse, Traceparent } from '@mqtt2go/runtime';
import { Body, Controller, Delete, HttpCode, HttpStatus, Param, Post, Query, Res, UseGuards } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { announcementOf } from './announcement.js';
import { WaitingActivations } from './waiting-activations.js';

/** Step 2: the platform tells of a device that will come, and takes it back. */
@Controller(activateDevicePath)
@UseGuards(new OnlyService('provisioning'))
export class ActivateDeviceController {
  constructor(private readonly waiting: WaitingActivations) {}

  @Post()
  @ApiOperation({
    summary: 'Lets a device wait for its activation, for 15 minutes at most.',
    description:
      'Idempotent for an onboarding; a later onboarding of the same device takes the place of an earlier one.',
  })
  @ApiResponse({ status: 201, description: 'The device may come now.', standardSchema: activateDeviceResponse })
  @ApiResponse({ status: 200, description: 'It was there already.', standardSchema: activateDeviceResponse })
  @ApiResponse(problemResponse(400, '`malformed_message`, `invalid_identifier`'))
  @ApiResponse(problemResponse(403, '`forbidden`: the certificate is of another service'))
  @ApiResponse(problemResponse(409, '`activation_code_in_use`, or `conflict` with a later onboarding of the device'))
  @ApiResponse(problemResponse(410, '`activation_expired`'))
  @ApiResponse(problemResponse(413, '`message_too_large`: over 64 KiB'))
  @ApiResponse(problemResponse(415, '`malformed_message`: not application/json'))
  @ApiResponse(problemResponse(503, '`unavailable`: repeat the request'))
  @ApiResponse(problemResponse('default', 'Any other refusal.'))
  async activateDevice(
    @Body({ schema: activateDeviceRequest }) body: ActivateDeviceRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Traceparent() parent?: string,
  ): Promise<ActivateDeviceResponse> {
    const announce = () => this.waiting.announce(announcementOf(body));
    const { created, expiresAtMs } = await withOnboarding(body.onboarding_id, () =>
      traced(`POST ${activateDevicePath}`, announce, { kind: 'server', parent }),
    );
    void reply.code(created ? HttpStatus.CREATED : HttpStatus.OK);
    return {
      device_id: body.device_id,
      onboarding_id: body.onboarding_id,
      expires_at: new Date(expiresAtMs).toISOString(),
    };
  }

  @Delete(':device_id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({
    summary: 'Takes a waiting device back.',
    description: 'Only the entry of this onboarding goes, a later one stays; one that is not there is fine.',
  })
  @ApiResponse({ status: 204, description: 'The entry is gone and the device can no longer come.' })
  @ApiResponse(problemResponse(400, '`malformed_message`, `invalid_identifier`'))
  @ApiResponse(problemResponse(403, '`forbidden`: the certificate is of another service'))
  @ApiResponse(problemResponse('default', 'Any other refusal.'))
  async withdrawActivation(
    @Param({ schema: withdrawActivationParams }) { device_id }: z.output<typeof withdrawActivationParams>,
    @Query({ schema: withdrawActivationQuery }) query: z.output<typeof withdrawActivationQuery>,
    @Traceparent() parent?: string,
  ): Promise<void> {
    const { onboarding_id, announced_until } = query;
    const untilMs = announced_until === undefined ? undefined : Date.parse(announced_until);
    const withdraw = () => this.waiting.withdraw(device_id, onboarding_id, untilMs);
    await withOnboarding(onboarding_id, () =>
      traced(`DELETE ${activateDevicePath}`, withdraw, { kind: 'server', parent }),
    );
  }
}
