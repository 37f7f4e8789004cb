import {
  defaultBrokerPort,
  headOf,
  isErrorCode,
  type MessageName,
  Mqtt2goError,
  messageLimits,
  parseJson,
  type ReadMessage,
  readMessageJson,
} from '@mqtt2go/protocol';
import { z } from 'zod';

const refusal = z.object({ event: z.literal('error'), reason: z.string() });

/** A report on a device's topic, whatever kind it is. */
export interface DeviceReport {
  readonly topic: string;
  readonly reportType: 'command_response' | 'status' | 'periodic_report' | 'error';
  /** The command that it answers, or what it tells of. */
  readonly reportName: string;
  readonly value: unknown;
  /** Unix time in seconds, if the device has a clock. */
  readonly timestamp: number | undefined;
}

/** How the device that is being added comes into the Wi-Fi: what the person has to be told. */
export interface JoiningNetwork {
  /** `wps`, `guest` or `manual`. */
  readonly method: string;
  /** In English. */
  readonly instructions: string;
  /** Unix time in milliseconds after which nobody gets in. */
  readonly closesAtMs: number;
  /** Of the guest network, whose password is the activation code. */
  readonly ssid: string | undefined;
}

/** What the platform says on add_device. */
export type AddReport =
  | { readonly kind: 'name-wanted'; readonly deviceId: string; readonly deviceType: string | undefined }
  | {
      readonly kind: 'state';
      readonly deviceId: string;
      readonly state: string;
      readonly network: JoiningNetwork | undefined;
    }
  | { readonly kind: 'renamed' }
  /** The home has moved to another broker. */
  | { readonly kind: 'moved'; readonly host: string; readonly port: number }
  | { readonly kind: 'refused'; readonly command: string; readonly error: Mqtt2goError }
  /** Some controller's request, our own included. */
  | { readonly kind: 'activation'; readonly deviceId: string };

/** Never throws; `undefined` for what is of no interest. */
export function readAddReport(payload: Uint8Array): AddReport | undefined {
  const json = parse(payload, 'onboarding');
  const head = headOf(json);
  if (head === undefined) return undefined;
  // A reading that fails costs far more than one that succeeds, so only what the head allows is tried.
  if (head.type === 'command') {
    const asked = head.commandType === 'activate_device' ? read('activateDevice', json) : undefined;
    return asked && { kind: 'activation', deviceId: asked.value.device_id };
  }
  if (head.reportType === 'status') {
    const progress = read('onboardingProgress', json);
    if (progress === undefined) return undefined;
    const { device_id: deviceId, state, network } = progress.value;
    return {
      kind: 'state',
      deviceId,
      state,
      network: network && {
        method: network.method,
        instructions: network.instructions,
        closesAtMs: network.closes_at * 1_000,
        ssid: network.ssid,
      },
    };
  }
  if (head.reportName === 'rename_device') {
    const wanted = read('renameRequest', json);
    if (wanted) return { kind: 'name-wanted', deviceId: wanted.value.device_id, deviceType: wanted.value.device_type };
    if (read('renameDone', json)) return { kind: 'renamed' };
  }
  if (head.reportName === 'mqtt_credentials') {
    const moved = read('brokerMoved', json);
    if (moved)
      return { kind: 'moved', host: moved.value.broker_ip, port: moved.value.broker_port ?? defaultBrokerPort };
  }
  const refused = read('commandRefused', json);
  return refused && { kind: 'refused', command: refused.report_name, error: toError(refused.value.reason) };
}

const deviceReports = {
  command_response: 'deviceResponse',
  status: 'deviceStatus',
  periodic_report: 'devicePeriodicReport',
  error: 'deviceError',
} as const;

/** Never throws; `undefined` for commands and whatever else is no report. */
export function readDeviceReport(topic: string, payload: Uint8Array): DeviceReport | undefined {
  const json = parse(payload, 'device');
  const head = headOf(json);
  if (head?.type !== 'report' || !isReportType(head.reportType)) return undefined;
  const report = read(deviceReports[head.reportType], json);
  if (report === undefined) return undefined;
  const { report_type: reportType, report_name: reportName, value, timestamp } = report;
  return { topic, reportType, reportName, value, timestamp };
}

function isReportType(type: string): type is keyof typeof deviceReports {
  return Object.hasOwn(deviceReports, type);
}

/** The refusal in a command_response, if it is one. */
export function refusalOf(report: DeviceReport): Mqtt2goError | undefined {
  const refused = refusal.safeParse(report.value);
  return refused.success ? toError(refused.data.reason) : undefined;
}

function read<N extends MessageName>(name: N, json: unknown): ReadMessage<N> | undefined {
  try {
    return readMessageJson(name, json);
  } catch {
    return undefined;
  }
}

function toError(reason: string): Mqtt2goError {
  return isErrorCode(reason) ? new Mqtt2goError(reason) : new Mqtt2goError('internal', `Refused: ${reason}.`);
}

function parse(payload: Uint8Array, limits: keyof typeof messageLimits): unknown {
  try {
    return parseJson(payload, messageLimits[limits]);
  } catch {
    return undefined;
  }
}
