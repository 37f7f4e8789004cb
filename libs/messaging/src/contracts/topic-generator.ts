import { deviceType, identifier } from '@mqtt2go/protocol';
import { z } from 'zod';
import { serialNumber } from './certificate-authority.js';
import { contract } from './contract.js';

const service = 'topic-generator';

/**
 * Lets a device that is being added come to its home's broker with this certificate, to `<device_id>/topics` and its own
 * topics in whatever group; in force when answered. A device that works in the same home keeps its gateway, type and
 * certificates until `assign-topics` completes the new onboarding. Errors: device_already_active for a
 * device that has a name in another home, unknown_home, certificate_revoked.
 */
export const admitDevice = contract({
  service,
  verb: 'admit-device',
  callers: ['provisioning'],
  input: z.object({
    onboardingId: z.uuid(),
    deviceId: identifier,
    homeId: identifier,
    gatewayId: identifier,
    deviceType,
    serialNumber,
  }),
  output: z.object({}),
});

/**
 * Lets a device come with a further certificate wherever it may with the one that this renews, and for as long; in force
 * when answered. Errors: unknown_device, unknown_certificate when `renewedFrom` was never admitted, certificate_revoked
 * when either is turned away.
 */
export const acceptCertificate = contract({
  service,
  verb: 'accept-certificate',
  callers: ['certificate-authority'],
  input: z.object({ deviceId: identifier, renewedFrom: serialNumber, serialNumber }),
  output: z.object({}),
});

/**
 * Puts a device in its groups (made where they are new) and completes its newest admission, dropping the
 * certificates of earlier ones; answers its topics, in force. Errors: unknown_device, invalid_identifier.
 */
export const assignTopics = contract({
  service,
  verb: 'assign-topics',
  callers: ['provisioning'],
  input: z.object({ deviceId: identifier, groupIds: z.array(identifier).min(1).max(32) }),
  output: z.object({ topics: z.array(z.string()) }),
});

/** Takes back what `admit-device` gave in this onboarding; a later admission stays. Unknown ones are fine. */
export const withdrawDevice = contract({
  service,
  verb: 'withdraw-device',
  callers: ['provisioning'],
  input: z.object({ onboardingId: z.uuid(), deviceId: identifier }),
  output: z.object({}),
});

/**
 * Removes certificates from the brokers at once: live sessions are closed, and they can never be admitted again. Without
 * serial numbers the device itself is removed, and can be added to any home afterwards.
 */
export const revokeAccess = contract({
  service,
  verb: 'revoke-access',
  callers: ['certificate-authority', 'operator'],
  input: z.object({ deviceId: identifier, serialNumbers: z.array(serialNumber).max(64) }),
  output: z.object({}),
});

/**
 * Makes (or gives a new password to) a controller of a home; the home and gateway exist from then on. `username` is what
 * stands before the `@` in the user name that is answered, `<username>@<homeId>`. Errors: conflict.
 */
export const createController = contract({
  service,
  verb: 'create-controller',
  callers: ['operator'],
  input: z.object({
    homeId: identifier,
    gatewayId: identifier,
    username: identifier.optional(),
    role: z.enum(['administrator', 'family_member', 'guest']).default('administrator'),
  }),
  output: z.object({
    username: z.string(),
    password: z.string(),
    url: z.string(),
    webSocketUrl: z.string().optional(),
  }),
});

/**
 * True if the home has this gateway; and then the name of the home broker that the home is on, and whether the gateway has its
 * own platform in the house, which is then the one that answers its home.
 */
export const hasGateway = contract({
  service,
  verb: 'has-gateway',
  callers: ['provisioning'],
  input: z.object({ homeId: identifier, gatewayId: identifier }),
  output: z.object({ exists: z.boolean(), broker: z.string().optional(), isBridged: z.boolean().optional() }),
});

/**
 * In the cloud: lets a home's gateway connect its broker with the home's broker here; the account is made the first time.
 * Home and gateway exist from then on. In force when answered.
 */
export const openBridge = contract({
  service,
  verb: 'open-bridge',
  callers: ['federation'],
  input: z.object({ homeId: identifier, gatewayId: identifier }),
  output: z.object({ url: z.string(), username: z.string(), password: z.string() }),
});

/** Takes back what `open-bridge` and `trust-gateway` gave; its session is closed when answered. Unknown ones are fine. */
export const closeBridge = contract({
  service,
  verb: 'close-bridge',
  callers: ['federation'],
  input: z.object({ homeId: identifier, gatewayId: identifier }),
  output: z.object({}),
});

/** In the cloud: makes a home that is to have a gateway, on a broker that trusts gateways if there is one. Known ones stay where they are. */
export const placeHome = contract({
  service,
  verb: 'place-home',
  callers: ['federation'],
  input: z.object({ homeId: identifier, gatewayId: identifier }),
  output: z.object({}),
});

/**
 * In the cloud: `authority`, PEM, is the CA for devices of a home's gateway. The home's broker trusts it while devices of the home
 * are on it. Errors: malformed_message for one that is not confined to this home.
 */
export const trustGateway = contract({
  service,
  verb: 'trust-gateway',
  callers: ['federation'],
  input: z.object({ homeId: identifier, gatewayId: identifier, authority: z.string().max(32_768) }),
  output: z.object({}),
});
