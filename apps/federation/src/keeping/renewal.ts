import { Bus, certificateAuthority } from '@mqtt2go/messaging';
import { SERVER_RENEWAL_MS } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import type { Logger } from 'pino';
import type { HttpsCloudLink } from '../link/https-cloud-link.js';
import { renew } from '../link/verbs.js';

/** Has the gateway's certificate and CAs renewed in the cloud before the first of them ends. */
export class Renewal {
  constructor(
    private readonly link: HttpsCloudLink,
    private readonly bus: Bus,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Does nothing until 30 days before the end. */
  async refresh(): Promise<void> {
    const { requests, notAfterMs } = await this.bus.call(certificateAuthority.getGatewayRequests, {});
    if (notAfterMs - this.clock.now() > SERVER_RENEWAL_MS) return;
    const answer = await this.link.call(renew, { requests });
    const identity = await this.bus.call(certificateAuthority.installGatewayCertificates, answer);
    await this.link.useIdentity(identity);
    this.log.info('the gateway’s certificates were renewed');
  }
}
