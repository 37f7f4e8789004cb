import { certificateAuthority } from '@mqtt2go/messaging';
import { gatewayIdentifier, identifier } from '@mqtt2go/protocol';
import { z } from 'zod';
import { linkContract } from './contract.js';

const { gatewayRequests, gatewayCertificates } = certificateAuthority;

/**
 * The one verb for whoever has no certificate yet: an invitation's token instead, for 24 hours. The same keys get the same
 * answer. Errors: invitation_invalid, too_many_attempts, csr_invalid, key_not_accepted.
 */
export const enrol = linkContract({
  verb: 'enrol',
  input: z.object({
    homeId: identifier,
    gatewayId: gatewayIdentifier,
    token: z.string().max(128),
    requests: gatewayRequests,
  }),
  output: gatewayCertificates,
});

/** Newer certificates for the keys of an enrolled gateway. Errors: csr_invalid, key_not_accepted. */
export const renew = linkContract({
  verb: 'renew',
  input: z.object({ requests: gatewayRequests }),
  output: gatewayCertificates,
});

/** The CAs of the manufacturers that the operator trusts, PEM. */
export const listManufacturers = linkContract({
  verb: 'list-manufacturers',
  input: z.object({}),
  output: z.object({
    manufacturers: z
      .array(z.object({ name: z.string().min(1).max(200), certificate: z.string().max(65_536) }))
      .max(1_000),
  }),
});

/** Which of the cloud's home brokers the home is on, and by what its gateway comes there. The account is made the first time. */
export const bridgeTarget = linkContract({
  verb: 'bridge-target',
  input: z.object({}),
  output: z.object({
    /** `mqtts://host:port` */
    url: z.url({ protocol: /^mqtts$/ }).max(2_048),
    username: z.string().min(1).max(256),
    password: z.string().min(1).max(256),
  }),
});
