import { identifier, keyMode } from '@mqtt2go/protocol';
import { z } from 'zod';
import { contract } from './contract.js';

const service = 'certificate-authority';
/** Upper-case hex, no separators. */
export const serialNumber = z.string().regex(/^[0-9A-F]{2,40}$/);
const pem = z.string().max(65_536);

/**
 * Issues the device's operational certificate; once for an onboarding, the same answer each time after.
 * `existing-key` takes `publicKey`, `csr` takes `csr`, `server-key` neither.
 * Errors: csr_required, csr_invalid, csr_name_mismatch, csr_key_mismatch, key_not_accepted.
 */
export const issueDeviceCertificate = contract({
  service,
  verb: 'issue-device-certificate',
  callers: ['provisioning'],
  input: z.object({
    onboardingId: z.uuid(),
    deviceId: identifier,
    keyMode,
    /** PEM SubjectPublicKeyInfo. */
    publicKey: pem.optional(),
    /** PEM PKCS#10. */
    csr: pem.optional(),
  }),
  output: z.object({
    serialNumber,
    /** PEM: certificate, issuing chain, and PKCS#8 key in the `server-key` mode. */
    deviceCertificate: pem,
  }),
});

/**
 * Ends the activation's hold on its certificate. `completed`: a platform-made key is destroyed.
 * `abandoned`: the certificate is revoked as well. Unknown onboardings are fine.
 */
export const settleOnboardingCertificate = contract({
  service,
  verb: 'settle-onboarding-certificate',
  callers: ['provisioning'],
  input: z.object({ onboardingId: z.uuid(), outcome: z.enum(['completed', 'abandoned']) }),
  output: z.object({}),
});

/** The RFC 5280 reasons that the platform uses. */
export const revocationReason = z.enum([
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
]);

/** Revokes one certificate by serial number, or all of a device. Errors: unknown_certificate. */
export const revokeCertificates = contract({
  service,
  verb: 'revoke-certificates',
  callers: ['provisioning', 'topic-generator', 'operator'],
  input: z.object({
    serialNumber: serialNumber.optional(),
    deviceId: identifier.optional(),
    reason: revocationReason.default('unspecified'),
  }),
  output: z.object({ revoked: z.array(serialNumber) }),
});

/**
 * Issues a further certificate to an active device: for the same key, or for that of `csr`. The home's broker lets the
 * device in with either when answered; asked again, the answer is the same.
 * Errors: unknown_certificate, certificate_revoked, certificate_expired, csr_*, key_not_accepted, unknown_device,
 * too_many_attempts.
 */
export const renewCertificate = contract({
  service,
  verb: 'renew-certificate',
  callers: ['operator'],
  input: z.object({ serialNumber, csr: pem.optional() }),
  output: z.object({ serialNumber, deviceCertificate: pem }),
});

/** What a gateway asks for: PEM PKCS#10, each for a key of its own. */
export const gatewayRequests = z.object({ issuing: pem, server: pem, identity: pem });

/** What a gateway gets: PEM. `identity` comes with its chain. */
export const gatewayCertificates = z.object({ root: pem, issuing: pem, server: pem, identity: pem });

/**
 * In the cloud: signs the CAs and the certificate of a gateway. Asked again for the same keys, the names are the same.
 * Errors: csr_invalid, key_not_accepted, own_root where the platform is a gateway itself.
 */
export const signGateway = contract({
  service,
  verb: 'sign-gateway',
  callers: ['federation'],
  input: z.object({ homeId: identifier, gatewayId: identifier, requests: gatewayRequests }),
  output: gatewayCertificates,
});

/** On an enrolled gateway: requests for the keys that it has, and when the first of their certificates ends. Errors: not_enrolled. */
export const getGatewayRequests = contract({
  service,
  verb: 'get-gateway-requests',
  callers: ['federation'],
  input: z.object({}),
  output: z.object({ requests: gatewayRequests, notAfterMs: z.int() }),
});

/**
 * On an enrolled gateway: puts newer certificates in the place of those that it has. Answers its identity, PEM.
 * Errors: not_enrolled, certificate_not_accepted.
 */
export const installGatewayCertificates = contract({
  service,
  verb: 'install-gateway-certificates',
  callers: ['federation'],
  input: gatewayCertificates,
  output: z.object({ cert: pem, key: pem }),
});

/**
 * The same as a device asks for it. `serialNumber` is of the certificate that it came with, the newest that is good if
 * left out. Whoever came with a certificate needs those before it no more: they are revoked, and not sooner. A certificate
 * that is not due (half of its time has not passed) is answered itself, unless `csr` has another key.
 * Errors: as of renew-certificate; unknown_certificate for one of another device, too.
 */
export const renewDeviceCertificate = contract({
  service,
  verb: 'renew-device-certificate',
  callers: ['provisioning'],
  input: z.object({ deviceId: identifier, serialNumber: serialNumber.optional(), csr: pem.optional() }),
  output: z.object({ serialNumber, deviceCertificate: pem }),
});

/** The CA's public side: PEM root and issuing certificate, and the current CRL (PEM). */
export const getAuthority = contract({
  service,
  verb: 'get-authority',
  callers: ['provisioning', 'discovery', 'topic-generator', 'operator'],
  input: z.object({}),
  output: z.object({ root: pem, issuing: pem, crl: z.string() }),
});
