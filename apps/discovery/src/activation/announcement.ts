import { type ActivateDeviceRequest, defaultBrokerPort } from '@mqtt2go/protocol';
import type { Announcement } from './waiting-activations.js';

/** What step 2 tells, whichever way it came. */
export function announcementOf(body: ActivateDeviceRequest): Announcement {
  return {
    deviceId: body.device_id,
    activationCode: body.activation_code,
    onboardingId: body.onboarding_id,
    revision: body.revision,
    brokerHost: body.broker_ip,
    brokerPort: body.broker_port ?? defaultBrokerPort,
    keyMode: body.key_mode,
    deviceCertificate: body.device_certificate,
    expiresAtMs: Date.parse(body.expires_at),
  };
}
