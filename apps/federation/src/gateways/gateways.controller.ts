import { Answers, federation } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { CloudAddress } from './cloud-address.js';
import { Gateways } from './gateways.js';

/** The operator's part of the bus, in the cloud. */
@Controller()
export class GatewaysController {
  constructor(
    private readonly gateways: Gateways,
    private readonly cloud: CloudAddress,
  ) {}

  @Answers(federation.inviteGateway)
  async inviteGateway({
    homeId,
    gatewayId,
  }: z.output<typeof federation.inviteGateway.input>): Promise<z.input<typeof federation.inviteGateway.output>> {
    const { token, expiresAt } = await this.gateways.invite({ homeId, gatewayId });
    const { url: cloudUrl, root } = this.cloud;
    return { homeId, gatewayId, cloudUrl, root, token, expiresAt: expiresAt.toISOString() };
  }

  @Answers(federation.listGateways)
  async listGateways({
    homeId,
    after,
  }: z.output<typeof federation.listGateways.input>): Promise<z.input<typeof federation.listGateways.output>> {
    return { gateways: await this.gateways.list(homeId, after) };
  }

  @Answers(federation.revokeGateway)
  async revokeGateway(gateway: z.output<typeof federation.revokeGateway.input>): Promise<Record<string, never>> {
    await this.gateways.revoke(gateway);
    return {};
  }
}
