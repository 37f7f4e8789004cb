import type { RevocationReason } from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import { Counter, Histogram, type Registry } from 'prom-client';

/** What the CA counts. */
export class CertificateMetrics {
  private readonly issuedTotal: Counter<'key_mode'>;
  private readonly renewedTotal: Counter;
  private readonly revokedTotal: Counter<'reason'>;
  private readonly issueSeconds: Histogram<'key_mode'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.issuedTotal = new Counter({
      name: 'mqtt2go_certificates_issued_total',
      help: 'Device certificates issued in onboardings, by where the key came from.',
      labelNames: ['key_mode'],
      registers,
    });
    this.renewedTotal = new Counter({
      name: 'mqtt2go_certificates_renewed_total',
      help: 'Device certificates issued in renewals.',
      registers,
    });
    this.revokedTotal = new Counter({
      name: 'mqtt2go_certificates_revoked_total',
      help: 'Device certificates revoked, by reason.',
      labelNames: ['reason'],
      registers,
    });
    this.issueSeconds = new Histogram({
      name: 'mqtt2go_certificate_issue_duration_seconds',
      help: 'Time to make, sign and store a device certificate.',
      labelNames: ['key_mode'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
      registers,
    });
  }

  /** @returns to be called when the certificate is stored */
  issuing(keyMode: KeyMode): () => void {
    const stored = this.issueSeconds.startTimer({ key_mode: keyMode });
    return () => {
      stored();
      this.issuedTotal.inc({ key_mode: keyMode });
    };
  }

  renewed(): void {
    this.renewedTotal.inc();
  }

  revoked(reason: RevocationReason, certificates: number): void {
    this.revokedTotal.inc({ reason }, certificates);
  }
}
