import {
  Authority,
  createSerialNumber,
  generateKeys,
  joinDeviceBundle,
  type KeyObject,
  type KeyPair,
  readCertificateRequest,
  writePrivateKey,
} from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import { createPublicKey } from 'node:crypto';
import type { DeviceIdentity } from '../store/device-identity.js';
import { type SeenMessage, type StandInBroker, startStandInBroker } from './stand-in-broker.js';

const nowMs = Date.now();
const dayMs = 24 * 60 * 60 * 1000;

/** A root with a server certificate below it, and whatever else a test wants to issue. */
export class StandInAuthority {
  private constructor(
    readonly root: Authority,
    readonly server: { cert: string; key: string },
  ) {}

  static async create(commonName: string): Promise<StandInAuthority> {
    const keys = await generateKeys();
    const root = Authority.createRoot({ commonName, keys, nowMs, validityMs: 7_300 * dayMs });
    const serverKeys = await generateKeys();
    const server = root.issueServer({
      commonName: 'localhost',
      hosts: ['localhost', '127.0.0.1'],
      publicKey: serverKeys.publicKey,
      nowMs,
    });
    return new StandInAuthority(root, {
      cert: root.withChain(server.pem),
      key: writePrivateKey(serverKeys.privateKey),
    });
  }
}

/** Both brokers of the remote set-up as far as a device can see them; for tests only. */
export class StandInPlatform {
  private constructor(
    readonly authority: StandInAuthority,
    readonly manufacturer: Authority,
    readonly activation: StandInBroker,
    readonly home: StandInBroker,
  ) {}

  static async start(): Promise<StandInPlatform> {
    const authority = await StandInAuthority.create('stand-in root');
    const manufacturer = Authority.createRoot({
      commonName: 'stand-in manufacturer',
      keys: await generateKeys(),
      nowMs,
      validityMs: Number.POSITIVE_INFINITY,
    });
    const activation = await startStandInBroker({ ...authority.server, clientCa: [manufacturer.certificate] });
    const home = await startStandInBroker({ ...authority.server, clientCa: [authority.root.certificate] });
    return new StandInPlatform(authority, manufacturer, activation, home);
  }

  async close(): Promise<void> {
    await this.activation.close();
    await this.home.close();
  }

  async mint(deviceId: string, mode?: KeyMode): Promise<DeviceIdentity> {
    const keys = await generateKeys();
    const { pem } = this.manufacturer.issuePreloadedDevice({ deviceId, publicKey: keys.publicKey, nowMs });
    return {
      file: {
        device_id: deviceId,
        activation_code: `code-${deviceId}`,
        device_type: 'socket',
        discovery: { host: '127.0.0.1', port: this.activation.port },
        ...(mode === undefined ? {} : { key_mode: mode }),
      },
      certificate: pem,
      key: writePrivateKey(keys.privateKey),
      ca: this.authority.root.certificate,
    };
  }

  /** A further home broker, such as a home moves to. */
  startHome(): Promise<StandInBroker> {
    return startStandInBroker({ ...this.authority.server, clientCa: [this.authority.root.certificate] });
  }

  /** The `device_certificate` for a key; with the key in it when it is a pair. */
  bundle(deviceId: string, key: KeyObject | KeyPair, issuedMs: number = nowMs): string {
    const pair = 'privateKey' in key ? key : undefined;
    const publicKey = 'privateKey' in key ? key.publicKey : key;
    const certificate = this.authority.root.issueDevice({
      deviceId,
      publicKey,
      nowMs: issuedMs,
      serialNumber: createSerialNumber(),
    }).pem;
    return joinDeviceBundle({
      certificate,
      chain: [],
      ...(pair === undefined ? {} : { privateKey: writePrivateKey(pair.privateKey) }),
    });
  }

  brokerData(deviceCertificate: string, home: StandInBroker = this.home): object {
    const value = { broker_ip: '127.0.0.1', broker_port: home.port, device_certificate: deviceCertificate };
    return { type: 'report', report_type: 'command_response', timestamp: 1, report_name: 'mqtt_credentials', value };
  }

  /** Answers step 6 in the device's key mode. */
  activates(identity: DeviceIdentity): void {
    this.activation.answer = async ({ json }) => {
      const { device_id: deviceId, key_mode: mode = 'existing-key' } = identity.file;
      if (mode === 'server-key') return this.brokerData(this.bundle(deviceId, await generateKeys()));
      if (mode === 'existing-key') return this.brokerData(this.bundle(deviceId, createPublicKey(identity.key)));
      return this.brokerData(this.bundle(deviceId, (await readCertificateRequest(csrOf(json['value']))).publicKey));
    };
  }

  /** Answers step 9. */
  assigns(topics: readonly string[]): void {
    this.home.answer = ({ json }) => (json['command_type'] === 'topics' ? topicsReport(topics) : undefined);
  }
}

/** @param unixMs the platform's time, for a device that goes by it */
export function topicsReport(topics: readonly string[], unixMs = 1_000): object {
  const timestamp = Math.floor(unixMs / 1_000);
  return { type: 'report', report_type: 'command_response', timestamp, report_name: 'topics', value: topics };
}

export function movedReport(host: string, port: number): object {
  const value = { broker_ip: host, broker_port: port };
  return { type: 'report', report_type: 'command_response', timestamp: 1, report_name: 'mqtt_credentials', value };
}

export function renewedReport(deviceCertificate: string): object {
  const value = { device_certificate: deviceCertificate };
  return { type: 'report', report_type: 'command_response', timestamp: 1, report_name: 'mqtt_credentials', value };
}

export function refusal(reportName: string, reason: string): object {
  const value = { event: 'error', reason };
  return { type: 'report', report_type: 'command_response', timestamp: 1, report_name: reportName, value };
}

export function csrOf(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'csr' in value && typeof value.csr === 'string') return value.csr;
  throw new Error('the request holds no CSR');
}

/** The reports among what was seen on a topic. */
export function reportsOn(seen: readonly SeenMessage[], topic: string): Record<string, unknown>[] {
  return seen.filter((message) => message.topic === topic && message.json['type'] === 'report').map(({ json }) => json);
}
