import { Answers, certificateAuthority } from '@mqtt2go/messaging';
import { SecretBox } from '@mqtt2go/pki';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { z } from 'zod';
import { Authorities } from '../authority/authorities.js';
import { type GatewayCertificates, installRenewed, requestRenewal } from './enrolment.js';
import { GatewaySigning } from './gateway-signing.js';

@Controller()
export class GatewayController {
  constructor(
    private readonly signing: GatewaySigning,
    private readonly dataSource: DataSource,
    private readonly box: SecretBox,
    private readonly authorities: Authorities,
  ) {}

  @Answers(certificateAuthority.signGateway)
  async signGateway(request: z.output<typeof certificateAuthority.signGateway.input>): Promise<GatewayCertificates> {
    return this.signing.sign(request);
  }

  @Answers(certificateAuthority.getGatewayRequests)
  async getGatewayRequests(): Promise<z.input<typeof certificateAuthority.getGatewayRequests.output>> {
    return requestRenewal(this.dataSource.manager, this.box);
  }

  @Answers(certificateAuthority.installGatewayCertificates)
  async installGatewayCertificates(certificates: GatewayCertificates): Promise<{ cert: string; key: string }> {
    const { cert, key } = await installRenewed(this.dataSource, this.box, certificates);
    this.authorities.renew(certificates);
    return { cert, key };
  }
}
