import { Answers, moving } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { Relocations } from './relocations.js';

@Controller()
export class RelocationsController {
  constructor(private readonly relocations: Relocations) {}

  @Answers(moving.relocateDevices)
  async relocateDevices({
    homeId,
    broker,
    expiresAt,
    devices,
  }: z.output<typeof moving.relocateDevices.input>): Promise<Record<string, never>> {
    await this.relocations.add(homeId, broker, expiresAt, devices);
    return {};
  }

  @Answers(moving.forgetRelocations)
  async forgetRelocations({
    homeId,
    deviceIds,
  }: z.output<typeof moving.forgetRelocations.input>): Promise<Record<string, never>> {
    await this.relocations.forget(homeId, deviceIds);
    return {};
  }
}
