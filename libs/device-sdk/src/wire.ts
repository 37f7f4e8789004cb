import {
  type ErrorCode,
  encodeMessage,
  headOf,
  isErrorCode,
  Mqtt2goError,
  messageLimits,
  messages,
  parseJson,
} from '@mqtt2go/protocol';

/** Step 7, as the device understands it. */
export interface BrokerDataAnswer {
  readonly brokerHost: string;
  readonly brokerPort: number;
  /** PEM bundle. */
  readonly deviceCertificate: string;
  /** As it came. */
  readonly message: string;
}

/** The home's Wi-Fi. */
export interface WifiCredentials {
  readonly ssid: string;
  readonly password: string;
}

/** Step 12, as the device understands it. */
export interface DeviceTopicsAnswer {
  readonly topics: readonly string[];
  readonly message: string;
}

/** Step 6. @param csr PEM PKCS#10, in the `csr` key mode */
export function writeGetBrokerData(nowMs: number, csr: string | undefined): string {
  const request = 'GET_BROKER_DATA';
  return encodeMessage('getBrokerData', csr === undefined ? request : { request, csr }, { nowMs });
}

/** As {@link writeGetBrokerData}, at a gateway in the house. */
export function writeGetCredentials(nowMs: number, csr: string | undefined): string {
  const request = 'GET_CREDENTIALS';
  return encodeMessage('getCredentials', csr === undefined ? request : { request, csr }, { nowMs });
}

/** For the home's Wi-Fi, on the guest network. */
export function writeGetWifiCredentials(nowMs: number): string {
  return encodeMessage('getWifiCredentials', 'GET_WIFI_CREDENTIALS', { nowMs });
}

/** Step 9. */
export function writeGetDeviceTopics(nowMs: number): string {
  return encodeMessage('getDeviceTopics', 'GET_DEVICE_TOPICS', { nowMs });
}

/** The answer to a command on one of the device's own topics. */
export function writeResponse(nowMs: number, commandName: string, value: string | Record<string, unknown>): string {
  return encodeMessage('deviceResponse', value, { nowMs, commandName, priorityLevel: 2 });
}

/** The refusal of a command on one of the device's own topics. */
export function writeRefusal(nowMs: number, commandName: string, reason: ErrorCode): string {
  return encodeMessage('deviceResponse', { event: 'error', reason }, { nowMs, commandName, priorityLevel: 2 });
}

/** The state has changed: told at once. */
export function writeStatus(nowMs: number, value: Readonly<Record<string, unknown>>): string {
  return encodeMessage('deviceStatus', { ...value }, { nowMs, commandName: 'state', priorityLevel: 3 });
}

/** The state, from time to time. */
export function writePeriodicReport(nowMs: number, value: Readonly<Record<string, unknown>>): string {
  return encodeMessage('devicePeriodicReport', { ...value }, { nowMs, commandName: 'state', priorityLevel: 5 });
}

// What a device says comes back to it on the same topic. The head tells that at a fraction of what a failed reading costs.

/** The answer to {@link writeGetBrokerData}, its refusal, or `undefined` for anything else. Never throws. */
export function readBrokerData(payload: Uint8Array): BrokerDataAnswer | Mqtt2goError | undefined {
  const json = parse(payload, 'onboarding');
  if (headOf(json)?.type !== 'report') return undefined;
  const reading = messages.brokerData.reading.safeParse(json);
  if (!reading.success) return readRefusal(json, ['mqtt_credentials']);
  const { value } = reading.data;
  return {
    brokerHost: value.broker_ip,
    brokerPort: value.broker_port,
    deviceCertificate: value.device_certificate,
    message: textOf(payload),
  };
}

/** The answer to {@link writeGetCredentials}, its refusal, or `undefined` for anything else. Never throws. */
export function readCredentials(
  payload: Uint8Array,
): Pick<BrokerDataAnswer, 'deviceCertificate' | 'message'> | Mqtt2goError | undefined {
  const json = parse(payload, 'onboarding');
  if (headOf(json)?.type !== 'report') return undefined;
  const reading = messages.credentials.reading.safeParse(json);
  if (!reading.success) return readRefusal(json, ['mqtt_credentials']);
  return { deviceCertificate: reading.data.value.cert, message: textOf(payload) };
}

/** The answer to {@link writeGetWifiCredentials}, its refusal, or `undefined` for anything else. Never throws. */
export function readWifiCredentials(payload: Uint8Array): WifiCredentials | Mqtt2goError | undefined {
  const json = parse(payload, 'onboarding');
  if (headOf(json)?.type !== 'report') return undefined;
  const reading = messages.wifiCredentials.reading.safeParse(json);
  if (!reading.success) return readRefusal(json, ['wifi', 'wifi_credentials']);
  return { ssid: reading.data.value.SSID, password: reading.data.value.password };
}

/** The answer to {@link writeGetDeviceTopics}, its refusal, or `undefined` for anything else. Never throws. */
export function readDeviceTopics(payload: Uint8Array): DeviceTopicsAnswer | Mqtt2goError | undefined {
  const json = parse(payload, 'onboarding');
  if (headOf(json)?.type !== 'report') return undefined;
  const reading = messages.deviceTopics.reading.safeParse(json);
  if (!reading.success) return readRefusal(json, ['topics', 'topic']);
  return { topics: reading.data.value, message: textOf(payload) };
}

/** A command to the device; `undefined` for anything else, such as its own reports. Never throws. */
export function readCommand(payload: Uint8Array): { commandType: string; value: unknown } | undefined {
  const json = parse(payload, 'device');
  if (headOf(json)?.type !== 'command') return undefined;
  const reading = messages.deviceCommand.reading.safeParse(json);
  return reading.success ? { commandType: reading.data.command_type, value: reading.data.value } : undefined;
}

function readRefusal(json: unknown, commands: readonly string[]): Mqtt2goError | undefined {
  const reading = messages.commandRefused.reading.safeParse(json);
  if (!reading.success || !commands.includes(reading.data.report_name)) return undefined;
  const { reason } = reading.data.value;
  // A platform that is newer than the device may refuse for reasons that the device has no name for.
  return isErrorCode(reason) ? new Mqtt2goError(reason) : new Mqtt2goError('internal', `Refused: ${reason}.`);
}

function parse(payload: Uint8Array, limits: keyof typeof messageLimits): unknown {
  try {
    return parseJson(payload, messageLimits[limits]);
  } catch {
    return undefined;
  }
}

function textOf(payload: Uint8Array): string {
  return new TextDecoder().decode(payload);
}
