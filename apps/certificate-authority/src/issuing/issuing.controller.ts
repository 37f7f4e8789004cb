import { Answers, certificateAuthority } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import { type IssueAnswer, type IssueRequest, Issuing } from './issuing.js';
import { type Settlement, Settling } from './settling.js';

@Controller()
export class IssuingController {
  constructor(
    private readonly issuing: Issuing,
    private readonly settling: Settling,
  ) {}

  @Answers(certificateAuthority.issueDeviceCertificate)
  issueDeviceCertificate(request: IssueRequest): Promise<IssueAnswer> {
    return this.issuing.issue(request);
  }

  @Answers(certificateAuthority.settleOnboardingCertificate)
  async settleOnboardingCertificate(settlement: Settlement): Promise<Record<string, never>> {
    await this.settling.settle(settlement);
    return {};
  }
}
