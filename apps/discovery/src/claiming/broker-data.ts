import { randomUUID } from 'node:crypto';
import { Bus, type CallOptions, provisioning } from '@mqtt2go/messaging';
import { publicKeyHash, readCertificateRequest } from '@mqtt2go/pki';
import { type BrokerData, type Credentials, Mqtt2goError, type WifiCredentials } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import type { WaitingActivation } from '../activation/waiting-activation.entity.js';
import { WaitingActivations } from '../activation/waiting-activations.js';
import { ActivationMetrics } from './activation-metrics.js';

/**
 * Steps 6 and 7: a device, let in by its pre-loaded certificate (or its account) and its code, asks for its broker and its
 * certificate; at a gateway in the house for its certificate, and for the home's Wi-Fi.
 */
@Injectable()
export class BrokerDataDesk {
  constructor(
    private readonly waiting: WaitingActivations,
    private readonly bus: Bus,
    private readonly metrics: ActivationMetrics,
  ) {}

  /** What the device is told of its broker. Same errors as {@link credentials}. */
  async brokerData(entry: WaitingActivation, csr: string | undefined): Promise<BrokerData> {
    const { deviceCertificate } = await this.credentials(entry, csr);
    const { brokerHost, brokerPort } = entry;
    return { kind: 'broker-data', brokerHost, brokerPort, deviceCertificate };
  }

  /**
   * What the device is told. Provisioning hears of it before the first answer; the same question gets the same
   * answer after that, whether provisioning is there or not.
   * @throws Mqtt2goError `unknown_onboarding`, `activation_expired`, `csr_required`, `csr_*`; `unavailable` or
   * `timeout` while provisioning does not answer
   */
  async credentials(entry: WaitingActivation, csr: string | undefined): Promise<Credentials> {
    const claimed = await (entry.keyMode === 'csr' ? this.claimWithRequest(entry, csr) : this.claim(entry));
    const deviceCertificate = this.waiting.certificateOf(claimed);
    if (deviceCertificate === undefined) throw new Error('a claimed activation has no certificate');
    return { kind: 'credentials', deviceCertificate };
  }

  /**
   * The Wi-Fi of the home that the device is being added to, once in its activation.
   * @throws Mqtt2goError `wifi_not_set`, `wifi_already_handed_out`, `unknown_onboarding`, `activation_expired`;
   * `unavailable` or `timeout` while provisioning does not answer
   */
  async wifi(entry: WaitingActivation): Promise<WifiCredentials> {
    const { onboardingId } = entry;
    const request = { onboardingId, handOutId: randomUUID() };
    const { ssid, password } = await this.bus.call(provisioning.handOutWifi, request, this.calling(entry));
    return { kind: 'wifi-credentials', ssid, password };
  }

  private async claim(entry: WaitingActivation): Promise<WaitingActivation> {
    if (entry.claimedAt !== null) return entry;
    const { onboardingId } = entry;
    await this.bus.call(provisioning.claimOnboarding, { onboardingId }, this.calling(entry));
    const claimed = await this.waiting.claim(entry);
    this.metrics.claimed();
    return claimed;
  }

  /** Few attempts: a device that got no answer asks again by itself, and must not hold up the others. */
  private calling({ onboardingId }: WaitingActivation): CallOptions {
    return { onboardingId, timeoutMs: 5_000, retries: 1 };
  }

  private async claimWithRequest(entry: WaitingActivation, csr: string | undefined): Promise<WaitingActivation> {
    const keyHash = csr === undefined ? undefined : publicKeyHash((await readCertificateRequest(csr)).publicKey);
    if (entry.claimedAt !== null) {
      // A device that has forgotten its request, but not its key, is answered too: there is no secret in it.
      if (keyHash !== undefined && entry.csrKeyHash?.equals(keyHash) !== true) {
        throw new Mqtt2goError('csr_key_mismatch', 'The certificate was issued to another key in this activation.');
      }
      return entry;
    }
    if (csr === undefined || keyHash === undefined) throw new Mqtt2goError('csr_required');
    const { onboardingId } = entry;
    const answer = await this.bus.call(provisioning.claimOnboarding, { onboardingId, csr }, this.calling(entry));
    const { deviceCertificate } = answer;
    if (deviceCertificate === undefined) {
      throw new Mqtt2goError('internal', 'Provisioning answered a certificate signing request without a certificate.');
    }
    const claimed = await this.waiting.claim(entry, { deviceCertificate, keyHash });
    if (claimed.csrKeyHash?.equals(keyHash) !== true) throw new Mqtt2goError('csr_key_mismatch');
    this.metrics.claimed();
    return claimed;
  }
}
