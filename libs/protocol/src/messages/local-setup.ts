import { z } from 'zod';
import { deviceType, displayName, identifier } from '../identifiers.js';
import { command, response } from './define.js';
import { certificateRequest, credential, groupIdList, groupIds, pemBundle } from './values.js';

const csr = certificateRequest.describe('PEM PKCS#10, in the csr key mode.');
const getCredentialsWord = z.literal('GET_CREDENTIALS');

export const getCredentials = command({
  name: 'getCredentials',
  command: 'mqtt_credentials',
  revision: '1.0',
  direction: 'device-to-platform',
  topics: ['activation'],
  limits: 'onboarding',
  doc: 'With a local gateway: the device asks the initialization broker for its certificate.',
  value: z.union([getCredentialsWord, z.strictObject({ request: getCredentialsWord, csr })]),
  reads: z.preprocess(
    (value) => (value === 'GET_CREDENTIALS' ? { request: value } : value),
    z.object({ request: getCredentialsWord, csr: csr.optional() }),
  ),
});

export const credentials = response({
  name: 'credentials',
  report: 'mqtt_credentials',
  revision: '1.0',
  direction: 'platform-to-device',
  topics: ['activation'],
  limits: 'onboarding',
  doc: 'With a local gateway: the device’s certificate with its chain (and its key, if the platform made it).',
  value: pemBundle,
  reads: z.preprocess(
    (value) => (typeof value === 'string' ? { cert: value } : value),
    z.object({ cert: pemBundle, user: credential.optional(), password: credential.optional() }),
  ),
});

export const getWifiCredentials = command({
  name: 'getWifiCredentials',
  command: 'wifi',
  alsoReads: ['wifi_credentials'],
  revision: '1.0',
  direction: 'device-to-platform',
  topics: ['wifi'],
  limits: 'onboarding',
  doc: 'On the guest Wi-Fi: the device asks for the home’s Wi-Fi.',
  value: z.literal('GET_WIFI_CREDENTIALS'),
});

const wifi = {
  SSID: z
    .string()
    .min(1)
    .refine((name) => new TextEncoder().encode(name).byteLength <= 32, 'must be 32 bytes at most'),
  /** WPA2: 8 to 63 characters, or none for an open network; 64 hex digits are the key itself. */
  password: z.string().max(64),
};

export const wifiCredentials = response({
  name: 'wifiCredentials',
  report: 'wifi_credentials',
  alsoReads: ['mqtt_credentials'],
  revision: '1.0',
  direction: 'platform-to-device',
  topics: ['wifi'],
  limits: 'onboarding',
  doc: 'Name and password of the home’s Wi-Fi. Rev 1.0 names this report mqtt_credentials; both are read.',
  value: z.strictObject(wifi),
  reads: z.object(wifi),
});

const unsupported = {
  device_id: identifier,
  device_vendor: z.string().min(1).max(128),
  device_name: displayName,
  device_type: deviceType.optional(),
};

export const addUnsupported = command({
  name: 'addUnsupported',
  command: 'rename_device',
  revision: '1.0',
  direction: 'controller-to-platform',
  topics: ['addUnsupported'],
  limits: 'onboarding',
  doc: 'A device that does not speak the standard is given a name, a vendor and a group.',
  value: z.strictObject({ ...unsupported, group_id: groupIds }),
  reads: z.object({ ...unsupported, group_id: groupIdList }),
});
