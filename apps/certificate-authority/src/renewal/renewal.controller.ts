import { Answers, certificateAuthority } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import { type RenewalAnswer, type RenewalRequest, Renewing } from './renewing.js';

@Controller()
export class RenewalController {
  constructor(private readonly renewing: Renewing) {}

  @Answers(certificateAuthority.renewCertificate)
  renewCertificate(request: RenewalRequest): Promise<RenewalAnswer> {
    return this.renewing.renew(request);
  }
}
