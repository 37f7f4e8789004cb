import { z } from 'zod';

/** What an id may be, as told to whoever sent another; the codec knows broken ids by this text. */
export const identifierRule = 'must be 1 to 64 of A-Z a-z 0-9 _ - .';
export const identifierPattern = /^[A-Za-z0-9_.-]{1,64}$/;

/**
 * An id of a home, gateway, device, group, or an activation code: 1 to 64 characters of
 * `A-Z a-z 0-9 _ - .`, so that no id can widen a topic (no `/ + # $`, no control character).
 */
export const identifier = z.string().regex(identifierPattern, identifierRule);

/** How a device's operational certificate gets its key (see the docs on `device_certificate`). */
export const keyMode = z.enum(['existing-key', 'csr', 'server-key']);
export type KeyMode = z.infer<typeof keyMode>;

export const deviceTypeRule = 'must be 1 to 64 of a-z 0-9 _';
export const deviceTypePattern = /^[a-z0-9_]{1,64}$/;

/** A device type, such as `socket` or `garage_door`; unknown ones are let through, so devices can be newer than us. */
export const deviceType = z.string().regex(deviceTypePattern, deviceTypeRule);

/**
 * Words of the standard that stand where an id could: `<home>/users` has the form of
 * `<home>/<gateway>`, `<home>/<gateway>/add_device` that of `<home>/<gateway>/<group>`. An id that took
 * one would make one topic mean two things, so gateways and groups are not called so.
 */
export const reservedWords = {
  gatewayId: ['users', 'topics', 'topic', 'activation', 'wifi'],
  groupId: ['add_device', 'add_unsupported'],
} as const satisfies Record<string, readonly string[]>;

export const reservedWordRule = 'must not be a word that the standard uses at this place of a topic';

function unreserved(words: readonly string[]) {
  return identifier.refine((id) => !words.includes(id), reservedWordRule);
}

/** An id of a gateway: an {@link identifier} that is not one of the {@link reservedWords}. */
export const gatewayIdentifier = unreserved(reservedWords.gatewayId);
/** An id of a group: an {@link identifier} that is not one of the {@link reservedWords}. */
export const groupIdentifier = unreserved(reservedWords.groupId);

/** A name that people read: 1 to 128 characters, none of them a control character or half a surrogate pair. */
export const displayName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'must not hold control characters or broken characters');
