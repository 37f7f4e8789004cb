import { z } from 'zod';

/**
 * An id of a home, gateway, device, group, or an activation code: 1 to 64 characters of
 * `A-Z a-z 0-9 _ - .`, so that no id can widen a topic (no `/ + # $`, no control character).
 */
export const identifier = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ - .');

/** How a device's operational certificate gets its key (see the docs on `device_certificate`). */
export const keyMode = z.enum(['existing-key', 'csr', 'server-key']);
export type KeyMode = z.infer<typeof keyMode>;

/** A device type, such as `socket` or `garage_door`; unknown ones are let through, so devices can be newer than us. */
export const deviceType = z.string().regex(/^[a-z0-9_]{1,64}$/, 'must be 1 to 64 of a-z 0-9 _');
