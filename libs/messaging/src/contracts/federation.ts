import { gatewayIdentifier, identifier } from '@mqtt2go/protocol';
import { z } from 'zod';
import { contract } from './contract.js';

const service = 'federation';
const pem = z.string().max(65_536);

/** What a gateway is given to enrol with: the file that `MQTT2GO_INVITATION` names, JSON. The token is told this once. */
export const invitation = z.object({
  homeId: identifier,
  gatewayId: gatewayIdentifier,
  /** The gateways' door: `https://host:port`. */
  cloudUrl: z.url({ protocol: /^https$/ }).max(2_048),
  /** PEM: the operator's root. */
  root: pem,
  token: z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be 43 characters of base64url'),
  /** ISO 8601, UTC. */
  expiresAt: z.iso.datetime(),
});
export type InvitationFile = z.output<typeof invitation>;

/**
 * In the cloud: invites a gateway of a home, for 24 hours. Each invitation takes the place of the one before; a gateway that is
 * enrolled goes on until another enrols in its place. Errors: unknown_command where there is no door.
 */
export const inviteGateway = contract({
  service,
  verb: 'invite-gateway',
  callers: ['operator'],
  input: z.object({ homeId: identifier, gatewayId: gatewayIdentifier }),
  output: invitation,
});

const gatewayView = z.object({
  homeId: identifier,
  gatewayId: z.string(),
  state: z.enum(['invited', 'expired', 'enrolled', 'revoked']),
  /** ISO 8601, UTC. */
  invitedAt: z.string(),
  enrolledAt: z.string().optional(),
  /** When it last came to the door, to the minute. */
  seenAt: z.string().optional(),
  /** The end of its newest certificate. */
  notAfter: z.string().optional(),
});

/** In the cloud: the gateways, by home and id; those after `after`, 500 at most. */
export const listGateways = contract({
  service,
  verb: 'list-gateways',
  callers: ['operator'],
  input: z.object({
    homeId: identifier.optional(),
    after: z.object({ homeId: identifier, gatewayId: z.string().max(64) }).optional(),
  }),
  output: z.object({ gateways: z.array(gatewayView) }),
});

/** In the cloud: turns a gateway away for good, its bridge included. Asked again, the same. Errors: unknown_gateway. */
export const revokeGateway = contract({
  service,
  verb: 'revoke-gateway',
  callers: ['operator'],
  input: z.object({ homeId: identifier, gatewayId: gatewayIdentifier }),
  output: z.object({}),
});

/** On a gateway: how it stands with its cloud. */
export const getLinkStatus = contract({
  service,
  verb: 'get-link-status',
  callers: ['operator'],
  input: z.object({}),
  output: z.object({
    enrolled: z.boolean(),
    homeId: identifier.optional(),
    gatewayId: z.string().optional(),
    cloudUrl: z.string().optional(),
    bridge: z
      .object({
        enabled: z.boolean(),
        connected: z.boolean(),
        /** Messages that wait for the cloud. */
        queued: z.int(),
        lastError: z.string().optional(),
      })
      .optional(),
  }),
});
