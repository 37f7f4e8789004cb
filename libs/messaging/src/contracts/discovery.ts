import { activateDeviceRequest, activateDeviceResponse, identifier } from '@mqtt2go/protocol';
import { z } from 'zod';
import { contract } from './contract.js';

/** Makes a manufacturer's CA a trust anchor for pre-loaded certificates, at once. Errors: malformed_message. */
export const registerManufacturer = contract({
  service: 'discovery',
  verb: 'register-manufacturer',
  callers: ['operator', 'federation'],
  input: z.object({ name: z.string().min(1).max(200), certificate: z.string().max(65_536) }),
  output: z.object({ /** Lower-case hex SHA-256 of the certificate. */ fingerprint: z.string() }),
});

/**
 * Step 2 where there is no Discovery server: lets a device wait for its activation, as `POST /activate_device` does, by
 * the same rules. Errors: activation_expired, activation_code_in_use, conflict, unavailable.
 */
export const announceActivation = contract({
  service: 'discovery',
  verb: 'announce-activation',
  callers: ['provisioning'],
  input: activateDeviceRequest,
  output: activateDeviceResponse,
});

/** Takes back what an onboarding announced, as `DELETE /activate_device/{device_id}` does; one that is not there is fine. */
export const withdrawActivation = contract({
  service: 'discovery',
  verb: 'withdraw-activation',
  callers: ['provisioning'],
  input: z.object({
    deviceId: identifier,
    onboardingId: z.uuid(),
    /** Unix time in milliseconds: the latest end of what was announced. */
    announcedUntilMs: z.int().optional(),
  }),
  output: z.object({}),
});

/** The registered manufacturers' CAs, PEM. */
export const listManufacturers = contract({
  service: 'discovery',
  verb: 'list-manufacturers',
  callers: ['federation'],
  input: z.object({}),
  output: z.object({ manufacturers: z.array(z.object({ name: z.string(), certificate: z.string() })).max(1_000) }),
});
