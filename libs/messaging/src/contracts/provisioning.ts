import { isServiceName } from '@mqtt2go/access';
import { deviceType, identifier, keyMode, onboardingStateNames } from '@mqtt2go/protocol';
import { z } from 'zod';
import { contract } from './contract.js';

const service = 'provisioning';
const pem = z.string().max(65_536);

/** What a manufacturer tells of one device. */
export const factoryRecord = z.object({
  device_id: identifier.refine((id) => !isServiceName(id), 'must not be the name of a service'),
  activation_code: identifier,
  device_type: deviceType,
  key_mode: keyMode.default('existing-key'),
  /** PEM SubjectPublicKeyInfo of the pre-loaded certificate; needed for `existing-key`. */
  public_key: pem.optional(),
});
export type FactoryRecord = z.infer<typeof factoryRecord>;

/** Adds or replaces records of the factory registry; a record that cannot be taken is named, the others are in. */
export const importFactoryRecords = contract({
  service,
  verb: 'import-factory-records',
  callers: ['operator'],
  input: z.object({ records: z.array(z.unknown()).min(1).max(1000) }),
  output: z.object({
    imported: z.int(),
    rejected: z.array(z.object({ index: z.int(), reason: z.string() })),
  }),
});

/**
 * The Discovery server tells that the device has proved who it is and asks for its broker data, before
 * it answers the device. In the `csr` key mode the certificate is issued here and answered.
 * Errors: unknown_onboarding, activation_expired, csr_*.
 */
export const claimOnboarding = contract({
  service,
  verb: 'claim-onboarding',
  callers: ['discovery'],
  input: z.object({ onboardingId: z.uuid(), csr: pem.optional() }),
  output: z.object({ deviceCertificate: pem.optional() }),
});

const gateway = { homeId: identifier, gatewayId: identifier };
/** 1 to 32 bytes in UTF-8 without control characters. */
const wifiName = z
  .string()
  .min(1)
  .refine((name) => new TextEncoder().encode(name).byteLength <= 32, 'must be 32 bytes at most')
  .refine((name) => !/[\p{Cc}\p{Surrogate}\u2028\u2029]/u.test(name), 'must not have control characters');
/** As WPA2 and WPA3 take it. */
const wifiPassword = z.string().regex(/^[\x20-\x7e]{8,63}$/, 'must be 8 to 63 printable ASCII characters');

/** Keeps the Wi-Fi of a home, for devices that come by the guest network. Errors: unknown_home. */
export const setWifi = contract({
  service,
  verb: 'set-wifi',
  callers: ['operator'],
  input: z.object({ ...gateway, ssid: wifiName, password: wifiPassword }),
  output: z.object({}),
});

/** Tells which Wi-Fi is kept, and never its password. Errors: wifi_not_set. */
export const showWifi = contract({
  service,
  verb: 'show-wifi',
  callers: ['operator'],
  input: z.object(gateway),
  output: z.object({ ssid: z.string(), /** ISO 8601, UTC. */ setAt: z.string() }),
});

/** Forgets it; one that is not there is fine. */
export const removeWifi = contract({
  service,
  verb: 'remove-wifi',
  callers: ['operator'],
  input: z.object(gateway),
  output: z.object({}),
});

/**
 * Gives the home's Wi-Fi away to the device that is being added, once in an activation. Asked again under the same
 * `handOutId`, the answer is the same. Errors: wifi_not_set, wifi_already_handed_out, unknown_onboarding, activation_expired.
 */
export const handOutWifi = contract({
  service,
  verb: 'hand-out-wifi',
  callers: ['discovery'],
  input: z.object({ onboardingId: z.uuid(), handOutId: z.uuid() }),
  output: z.object({ ssid: z.string(), password: z.string() }),
});

const onboardingView = z.object({
  onboardingId: z.uuid(),
  deviceId: identifier,
  homeId: identifier,
  gatewayId: identifier,
  state: z.enum(onboardingStateNames),
  reason: z.string().optional(),
  /** ISO 8601, UTC. */
  deadline: z.string(),
});

/** The newest onboarding of a device. Errors: unknown_onboarding. */
export const getOnboarding = contract({
  service,
  verb: 'get-onboarding',
  callers: ['operator'],
  input: z.object({ deviceId: identifier }),
  output: onboardingView,
});

/** Stops an onboarding and takes back all it handed out; one that has ended is answered as it is. Errors: unknown_onboarding. */
export const cancelOnboarding = contract({
  service,
  verb: 'cancel-onboarding',
  callers: ['operator'],
  input: z.object({ deviceId: identifier }),
  output: onboardingView,
});
