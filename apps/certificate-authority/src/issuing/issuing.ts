import type { certificateAuthority } from '@mqtt2go/messaging';
import { generateKeys, type KeyObject, privateKeyDer, publicKeyHash, readPublicKey, SecretBox } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import type { z } from 'zod';
import { Authorities } from '../authority/authorities.js';
import { DeviceBundles } from '../certificates/device-bundles.js';
import { readDeviceRequest } from '../certificates/device-keys.js';
import { CertificateMetrics } from '../metrics/certificate-metrics.js';
import { OnboardingCertificates } from './onboarding-certificates.js';

export type IssueRequest = z.output<typeof certificateAuthority.issueDeviceCertificate.input>;
export type IssueAnswer = z.input<typeof certificateAuthority.issueDeviceCertificate.output>;

interface DeviceKeys {
  readonly publicKey: KeyObject;
  /** PKCS#8 DER, if the platform made it. */
  readonly privateKey?: Uint8Array<ArrayBuffer>;
}

/** Issues the certificate of an onboarding: one, whatever is repeated and whoever asks at the same time. */
@Injectable()
export class Issuing {
  constructor(
    private readonly authorities: Authorities,
    private readonly stored: OnboardingCertificates,
    private readonly bundles: DeviceBundles,
    private readonly box: SecretBox,
    private readonly clock: Clock,
    private readonly metrics: CertificateMetrics,
  ) {}

  /** The errors are those of the contract. */
  async issue(request: IssueRequest): Promise<IssueAnswer> {
    const { onboardingId, deviceId, keyMode } = request;
    const done = this.metrics.issuing(keyMode);
    const { publicKey, privateKey } = await deviceKeys(request);
    const issued = this.authorities.issuing.issueDevice({ deviceId, publicKey, nowMs: this.clock.now() });
    const hash = publicKeyHash(publicKey);
    const isNew = await this.stored.add({
      onboardingId,
      deviceId,
      keyMode,
      serialNumber: issued.serialNumber,
      publicKeyHash: hash,
      certificate: issued.der,
      notBeforeMs: issued.notBeforeMs,
      notAfterMs: issued.notAfterMs,
      sealedKey: privateKey && this.box.seal(sealName(onboardingId), privateKey),
    });
    // Signing before looking costs a repeated request a signature, and saves every other one a round trip.
    if (!isNew) return this.repeat(request, hash);
    done();
    return { serialNumber: issued.serialNumber, deviceCertificate: this.bundles.bundle(issued.der, privateKey) };
  }

  private async repeat(request: IssueRequest, hash: Buffer): Promise<IssueAnswer> {
    const { onboardingId, deviceId, keyMode } = request;
    const stored = await this.stored.find(onboardingId);
    if (stored?.serialNumber == null || stored.certificate === null) {
      throw new Mqtt2goError('conflict', 'The onboarding was abandoned before it had a certificate.');
    }
    if (stored.deviceId !== deviceId || stored.keyMode !== keyMode) {
      throw new Mqtt2goError('conflict', 'The onboarding has a certificate for another device or in another key mode.');
    }
    if (stored.revokedAt !== null) throw new Mqtt2goError('certificate_revoked');
    const { serialNumber, certificate, sealedKey } = stored;
    if (keyMode !== 'server-key') {
      if (stored.publicKeyHash?.equals(hash) !== true) {
        throw new Mqtt2goError('csr_key_mismatch', 'The onboarding has a certificate for another key.');
      }
      return { serialNumber, deviceCertificate: this.bundles.bundle(certificate) };
    }
    if (sealedKey === null) {
      throw new Mqtt2goError('conflict', 'The onboarding is settled and the key that was made for it is destroyed.');
    }
    const privateKey = this.box.open(sealName(onboardingId), sealedKey);
    return { serialNumber, deviceCertificate: this.bundles.bundle(certificate, privateKey) };
  }
}

const sealName = (onboardingId: string) => `onboarding/${onboardingId}`;

async function deviceKeys({ keyMode, deviceId, publicKey, csr }: IssueRequest): Promise<DeviceKeys> {
  switch (keyMode) {
    case 'existing-key':
      if (publicKey === undefined) throw new Mqtt2goError('key_not_accepted', 'No public key of the device is known.');
      return { publicKey: readPublicKey(publicKey) };
    case 'csr':
      if (csr === undefined) throw new Mqtt2goError('csr_required');
      return { publicKey: await readDeviceRequest(csr, deviceId) };
    case 'server-key': {
      const keys = await generateKeys();
      return { publicKey: keys.publicKey, privateKey: privateKeyDer(keys.privateKey) };
    }
  }
}
