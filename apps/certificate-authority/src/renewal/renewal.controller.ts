import { Answers, certificateAuthority } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import { type DeviceRenewalRequest, DeviceRenewals } from './device-renewals.js';
import { type RenewalAnswer, type RenewalRequest, Renewing } from './renewing.js';

@Controller()
export class RenewalController {
  constructor(
    private readonly renewing: Renewing,
    private readonly devices: DeviceRenewals,
  ) {}

  @Answers(certificateAuthority.renewCertificate)
  renewCertificate(request: RenewalRequest): Promise<RenewalAnswer> {
    return this.renewing.renew(request);
  }

  @Answers(certificateAuthority.renewDeviceCertificate)
  renewDeviceCertificate(request: DeviceRenewalRequest): Promise<RenewalAnswer> {
    return this.devices.renew(request);
  }
}
