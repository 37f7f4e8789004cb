import { z } from 'zod';
import { deviceType, displayName, identifier } from '../identifiers.js';
import { onboardingStateNames } from '../onboarding-states.js';
import { unixSeconds } from '../timestamp.js';
import { command, openReport, response } from './define.js';
import {
  brokerIp,
  brokerPort,
  certificateRequest,
  credential,
  groupIdList,
  groupIds,
  maxGroups,
  ok,
  pemBundle,
  plainTopic,
  readBrokerPort,
  wireName,
} from './values.js';

export const activateDevice = command({
  name: 'activateDevice',
  command: 'activate_device',
  revision: '1.0',
  direction: 'controller-to-platform',
  topics: ['addDevice'],
  limits: 'onboarding',
  step: 1,
  figure: 1,
  doc: 'The controller asks for a device to be added, by what its label says.',
  value: z.strictObject({
    activation_code: identifier,
    device_id: identifier,
    device_type: deviceType.optional().describe('From Rev 1.2 on.'),
  }),
  reads: z.object({ activation_code: identifier, device_id: identifier, device_type: deviceType.optional() }),
});

const getBrokerDataWord = z.literal('GET_BROKER_DATA');
const csr = certificateRequest.describe('PEM PKCS#10, in the csr key mode.');

export const getBrokerData = command({
  name: 'getBrokerData',
  command: 'mqtt_credentials',
  revision: '1.0',
  direction: 'device-to-platform',
  topics: ['activation'],
  limits: 'onboarding',
  step: 6,
  figure: 3,
  doc: 'The device asks the activation broker for the address of its home’s broker and for its certificate.',
  value: z.union([getBrokerDataWord, z.strictObject({ request: getBrokerDataWord, csr })]),
  reads: z.preprocess(
    (value) => (value === 'GET_BROKER_DATA' ? { request: value } : value),
    z.object({ request: getBrokerDataWord, csr: csr.optional() }),
  ),
});

export const brokerData = response({
  name: 'brokerData',
  report: 'mqtt_credentials',
  revision: '1.0',
  direction: 'platform-to-device',
  topics: ['activation'],
  limits: 'onboarding',
  step: 7,
  figure: 4,
  doc: 'Where the home’s broker is, and the device’s certificate with its chain (and its key, if the platform made it).',
  value: z.strictObject({
    broker_ip: brokerIp,
    broker_port: brokerPort,
    device_certificate: pemBundle.describe('PEM bundle in one string.'),
  }),
  reads: z.object({
    broker_ip: brokerIp,
    broker_port: readBrokerPort,
    device_certificate: pemBundle,
    user: credential.optional(),
    password: credential.optional(),
  }),
});

export const getDeviceTopics = command({
  name: 'getDeviceTopics',
  command: 'topics',
  alsoReads: ['topic'],
  revision: '1.0',
  direction: 'device-to-platform',
  topics: ['deviceTopics', 'deviceTopic'],
  limits: 'onboarding',
  step: 9,
  figure: 5,
  doc: 'The device, on its home’s broker, asks for its topics; it repeats this until it is answered.',
  value: z.literal('GET_DEVICE_TOPICS'),
  reads: z.enum(['GET_DEVICE_TOPICS', 'GET_DEVICE_TOPIC']),
});

export const getDeviceTopic = command({
  name: 'getDeviceTopic',
  command: 'topic',
  revision: '1.2',
  direction: 'device-to-platform',
  topics: ['deviceTopic'],
  limits: 'onboarding',
  doc: 'The form that Rev 1.2 gives to getDeviceTopics.',
  value: z.literal('GET_DEVICE_TOPIC'),
  reads: z.enum(['GET_DEVICE_TOPICS', 'GET_DEVICE_TOPIC']),
});

export const renameRequest = response({
  name: 'renameRequest',
  report: 'rename_device',
  revision: '1.0',
  direction: 'platform-to-controller',
  topics: ['addDevice'],
  limits: 'onboarding',
  step: 10,
  figure: 6,
  doc: 'The device is there: the controller is asked for its name and group.',
  value: z.strictObject({ device_type: deviceType, device_id: identifier }),
  reads: z.object({
    device_type: deviceType.optional(),
    device_id: identifier,
    setup_result: z.unknown().optional(),
  }),
});

export const renameDevice = command({
  name: 'renameDevice',
  command: 'rename_device',
  revision: '1.0',
  direction: 'controller-to-platform',
  topics: ['addDevice'],
  limits: 'onboarding',
  step: 11,
  figure: 7,
  doc: 'The person has named the device and put it in a group, or in several.',
  value: z.strictObject({ device_id: identifier, device_name: displayName, group_id: groupIds }),
  reads: z.object({ device_id: identifier, device_name: displayName, group_id: groupIdList }),
});

export const renameDone = response({
  name: 'renameDone',
  report: 'rename_device',
  revision: '1.0',
  direction: 'platform-to-controller',
  topics: ['addDevice', 'addUnsupported'],
  limits: 'onboarding',
  doc: 'The device has its name and its topics.',
  value: ok,
});

const deviceTopicList = z.array(plainTopic).min(1).max(maxGroups);

export const deviceTopics = response({
  name: 'deviceTopics',
  report: 'topics',
  alsoReads: ['topic'],
  revision: '1.0',
  direction: 'platform-to-device',
  topics: ['deviceTopics', 'deviceTopic'],
  limits: 'onboarding',
  step: 12,
  figure: 8,
  doc: 'The topics that the device subscribes, one for each group it is in.',
  value: deviceTopicList,
  reads: z.preprocess((value) => (typeof value === 'string' ? [value] : value), deviceTopicList),
});

export const deviceTopic = response({
  name: 'deviceTopic',
  report: 'topic',
  revision: '1.2',
  direction: 'platform-to-device',
  topics: ['deviceTopic'],
  limits: 'onboarding',
  doc: 'The form that Rev 1.2 gives to deviceTopics: one topic alone, as a string; several as a list.',
  value: z.union([plainTopic, deviceTopicList]),
  reads: z.preprocess((value) => (typeof value === 'string' ? [value] : value), deviceTopicList),
});

/** A platform newer than the reader may have further states. */
const newerStateName = z.string().regex(/^[a-z][a-z-]{0,63}$/);

/** No password: that of the guest network is the activation code, which the controller has. */
const network = {
  method: wireName.describe('`wps`, `guest` or `manual`.'),
  instructions: z.string().min(1).max(1_000).describe('What to do, in English.'),
  closes_at: unixSeconds.describe('Unix time in seconds after which nobody gets in.'),
  ssid: z.string().min(1).max(32).optional().describe('Of the guest network.'),
};

export const onboardingProgress = response({
  name: 'onboardingProgress',
  report: 'activate_device',
  reportType: 'status',
  revision: '1.0',
  direction: 'platform-to-controller',
  topics: ['addDevice'],
  limits: 'onboarding',
  doc: 'How far the device is; an addition of this platform, which a controller may ignore.',
  value: z.strictObject({
    device_id: identifier,
    state: z.enum(onboardingStateNames),
    network: z.strictObject(network).optional().describe('How the device comes into the Wi-Fi, with a local gateway.'),
  }),
  reads: z.object({ device_id: identifier, state: newerStateName, network: z.object(network).optional() }),
});

/** Wherever commands come, they are answered. */
const commandTopics = [
  'addDevice',
  'addUnsupported',
  'activation',
  'wifi',
  'deviceTopics',
  'deviceTopic',
  'userTopics',
  'homeUsers',
  'gateway',
  'group',
  'device',
] as const;

export const commandRefused = openReport({
  name: 'commandRefused',
  reportType: 'command_response',
  revision: '1.0',
  direction: 'platform-to-controller',
  topics: commandTopics,
  limits: 'onboarding',
  doc: 'A command was not carried out, and why; on the topic that it came on, to a device as well as to a controller.',
  value: z.strictObject({ event: z.literal('error'), reason: wireName }),
  reads: z.object({ event: z.literal('error'), reason: wireName }),
});

export const commandDone = openReport({
  name: 'commandDone',
  reportType: 'command_response',
  revision: '1.0',
  direction: 'platform-to-controller',
  topics: commandTopics,
  limits: 'onboarding',
  doc: 'A command was carried out and there is nothing more to tell; the report’s name is the command’s type.',
  value: ok,
});
