import {
  type ActivationPrincipal,
  type ControllerPrincipal,
  type DevicePrincipal,
  isControllerUsername,
  maxUsernameLength,
  type PrincipalKey,
  type ServicePrincipal,
  serviceNames,
} from '@mqtt2go/access';
import { deviceType, identifier, identifierPattern, isErrorCode, type ErrorCode } from '@mqtt2go/protocol';
import { z } from 'zod';

/** How many principals go in one message: large enough to be cheap, small enough not to hold the broker up. */
export const maxPrincipalsPerMessage = 256;

const device = z.object({
  kind: z.literal('device'),
  id: identifier,
  homeId: identifier,
  gatewayId: identifier,
  deviceType,
  certificateSerials: z
    .array(z.string().regex(/^[0-9A-Fa-f]{1,64}$/))
    .max(64)
    .readonly(),
  hasMoved: z.literal(true).optional(),
}) satisfies z.ZodType<DevicePrincipal>;

/** User names from before they had their home in them are identifiers. */
export const controllerId = z
  .string()
  .refine((name) => isControllerUsername(name) || identifierPattern.test(name), 'must be a user name');

const controller = z.object({
  kind: z.literal('controller'),
  id: controllerId,
  homeId: identifier,
  gatewayId: identifier,
  role: z.enum(['administrator', 'family_member', 'guest', 'bridge']),
  password: z.object({
    algorithm: z.literal('pbkdf2-sha512'),
    iterations: z.int().min(1).max(10_000_000),
    salt: z.base64().max(1024),
    hash: z.base64().min(24).max(1024),
  }),
  hasMoved: z.literal(true).optional(),
}) satisfies z.ZodType<ControllerPrincipal>;

const activation = z.object({
  kind: z.literal('activation'),
  id: identifier,
  activationCode: identifier,
  expiresAtMs: z.int(),
}) satisfies z.ZodType<ActivationPrincipal>;

const service = z.object({
  kind: z.literal('service'),
  id: z.enum(serviceNames),
}) satisfies z.ZodType<ServicePrincipal>;

export const principalSchema = z.discriminatedUnion('kind', [device, controller, activation, service]);
const principals = z.array(principalSchema).max(maxPrincipalsPerMessage);

export const keySchema = z.object({
  kind: z.enum(['device', 'controller', 'activation', 'service']),
  id: z.string().max(maxUsernameLength),
}) satisfies z.ZodType<PrincipalKey>;

const replacement = z.string().min(1).max(64);

const command = z.discriminatedUnion('command', [
  z.object({ command: z.literal('put'), principals }),
  z.object({ command: z.literal('remove'), keys: z.array(keySchema).max(maxPrincipalsPerMessage) }),
  z.object({ command: z.literal('begin-replacement'), replacement }),
  z.object({ command: z.literal('add-to-replacement'), replacement, principals }),
  z.object({ command: z.literal('commit-replacement'), replacement }),
  z.object({
    command: z.literal('set-trust-anchors'),
    /** PEM. */
    certificates: z.array(z.string().max(65_536)).max(1_000),
  }),
]);
export type ControlCommand = z.infer<typeof command>;

/** Carried out in order, answered once. With no commands it only asks how the copy is. */
export const controlRequest = z.object({
  /** Comes back with the answer. */
  id: z.string().min(1).max(64),
  commands: z.array(command).max(maxPrincipalsPerMessage),
});
export type ControlRequest = z.infer<typeof controlRequest>;

const errorCode = z.custom<ErrorCode>(isErrorCode);

export const controlResponse = z.object({
  id: z.string(),
  /** A new one each time the broker has started, with an empty copy. */
  epoch: z.string(),
  /** True once the whole copy has been given in this epoch. */
  isComplete: z.boolean(),
  error: z.object({ code: errorCode, detail: z.string() }).optional(),
});
export type ControlResponse = z.infer<typeof controlResponse>;
