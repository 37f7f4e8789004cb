import { Bus, certificateAuthority } from '@mqtt2go/messaging';
import type { RenewCertificate } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { HomeReplies } from '../traffic/home-replies.js';

/** Longer than the certificate authority takes to have the brokers accept the certificate. */
const renewal = { timeoutMs: 6_000, retries: 0 } as const;

/**
 * A device at its home's broker asks for the certificate after its own. That it is the device itself is the broker's to
 * say: nobody else publishes on `<device_id>/topics`. Nothing is kept here: a device that gets no answer asks again.
 */
@Injectable()
export class RenewalDesk {
  constructor(
    private readonly bus: Bus,
    private readonly replies: HomeReplies,
  ) {}

  /** @throws Mqtt2goError as certificate-authority's `renew-device-certificate`; unavailable, timeout */
  async renew({ deviceId, serialNumber, csr, reply }: RenewCertificate): Promise<void> {
    const { deviceCertificate } = await this.bus.call(
      certificateAuthority.renewDeviceCertificate,
      { deviceId, serialNumber, csr },
      renewal,
    );
    await this.replies.send([{ to: reply, message: { kind: 'certificate-renewed', deviceCertificate } }]);
  }
}
