import { Answers, moving } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { HomeCertificates } from './home-certificates.js';

@Controller()
export class MovingController {
  constructor(private readonly certificates: HomeCertificates) {}

  @Answers(moving.exportCertificates)
  async exportCertificates({
    deviceIds,
  }: z.output<typeof moving.exportCertificates.input>): Promise<z.input<typeof moving.exportCertificates.output>> {
    return { records: await this.certificates.of(deviceIds) };
  }

  @Answers(moving.countGatewayDevices)
  async countGatewayDevices({
    homeId,
  }: z.output<typeof moving.countGatewayDevices.input>): Promise<z.input<typeof moving.countGatewayDevices.output>> {
    return { devices: await this.certificates.countOfGateways(homeId) };
  }

  @Answers(moving.importCertificates)
  async importCertificates({
    homeId,
    records,
  }: z.output<typeof moving.importCertificates.input>): Promise<Record<string, never>> {
    await this.certificates.take(homeId, records);
    return {};
  }
}
