import { Answers, certificateAuthority } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import { type RevocationRequest, Revoking } from './revoking.js';

@Controller()
export class RevocationController {
  constructor(private readonly revoking: Revoking) {}

  @Answers(certificateAuthority.revokeCertificates)
  async revokeCertificates(request: RevocationRequest): Promise<{ revoked: string[] }> {
    return { revoked: await this.revoking.revoke(request) };
  }
}
