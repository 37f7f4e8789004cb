import { z } from 'zod';
import { deviceType, identifier, keyMode } from './identifiers.js';

/**
 * Step 2: the REST side of the Discovery server, `POST /activate_device` and
 * `DELETE /activate_device/{device_id}`, over HTTPS with mutual TLS. One place for both ends of it.
 */

/** Path of step 2. */
export const activateDevicePath = '/activate_device';

/** An IP address or a host name: no scheme, no port. */
const brokerHost = z.string().regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'must be an IP address or a host name');

/**
 * Body of `POST /activate_device`: a device that waits for its activation. The same onboarding may be
 * posted again: it replaces what was posted before and is answered alike.
 */
export const activateDeviceRequest = z
  .object({
    device_id: identifier,
    activation_code: identifier,
    /** Which attempt this is; a later one of the same device takes the place of an earlier one. */
    onboarding_id: z.uuid(),
    /** The revision that the controller spoke, such as `1.0`. */
    revision: z.string().min(1).max(16),
    broker_ip: brokerHost,
    /** 8883 when left out. */
    broker_port: z.int().min(1).max(65_535).optional(),
    key_mode: keyMode,
    /** PEM bundle; left out in the `csr` key mode, where the claim brings it. */
    device_certificate: z.string().min(1).max(65_536).optional(),
    device_type: deviceType.optional(),
    /** ISO 8601, UTC; the end of the 15 minutes. */
    expires_at: z.iso.datetime(),
  })
  .refine((body) => (body.key_mode === 'csr') === (body.device_certificate === undefined), {
    error: 'device_certificate is needed in every key mode but csr, and not taken there',
    path: ['device_certificate'],
  });
export type ActivateDeviceRequest = z.infer<typeof activateDeviceRequest>;

/** Answer to `POST /activate_device` (201 when new, 200 when it was there): the device may come now. */
export const activateDeviceResponse = z.object({
  device_id: identifier,
  onboarding_id: z.uuid(),
  expires_at: z.iso.datetime(),
});
export type ActivateDeviceResponse = z.infer<typeof activateDeviceResponse>;

/** Path parameters of `DELETE /activate_device/{device_id}`; 204, also for one that is not there. */
export const withdrawActivationParams = z.object({ device_id: identifier });

/**
 * Query of the same: only this onboarding's entry goes, a later one stays. Announcements of it that end at
 * `announced_until` (ISO 8601, UTC) or earlier do nothing when they come afterwards.
 */
export const withdrawActivationQuery = z.object({
  onboarding_id: z.uuid(),
  announced_until: z.iso.datetime().optional(),
});

/**
 * The path of step 2 for one device, with the onboarding that it is taken back for.
 * @param announcedUntilMs the latest end of what was announced, Unix time in milliseconds
 */
export function withdrawActivationPath(deviceId: string, onboardingId: string, announcedUntilMs?: number): string {
  const query = new URLSearchParams({ onboarding_id: onboardingId });
  if (announcedUntilMs !== undefined) query.set('announced_until', new Date(announcedUntilMs).toISOString());
  return `${activateDevicePath}/${encodeURIComponent(deviceId)}?${query.toString()}`;
}

/**
 * RFC 9457 problem details, `application/problem+json`, with one of the published error codes as `code`. A reader lets
 * a code through that it does not know: the other side may be newer.
 */
export const problemDetails = z.looseObject({
  type: z.string().optional(),
  title: z.string().optional(),
  status: z.int().optional(),
  detail: z.string().optional(),
  instance: z.string().optional(),
  code: z.string().optional(),
});
export type ProblemDetails = z.infer<typeof problemDetails>;
