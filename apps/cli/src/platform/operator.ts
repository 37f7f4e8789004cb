import { type PlatformFile, platformFilePath, readLastKnownTime, readPlatformFile } from '@mqtt2go/config';
import { Bus, type BrokerLink, tlsLink } from '@mqtt2go/messaging';
import { serverFault } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { MqttClient } from 'mqtt';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A running platform, with the operator's way to its services. */
export interface Operator {
  readonly platform: PlatformFile;
  /** PEM; what devices and controllers check the servers by. */
  readonly ca: string;
  readonly bus: Bus;
  close(): Promise<void>;
}

const connectTimeoutMs = 5_000;

/**
 * Connects to the service bus of the platform that runs on this data folder, as the service `operator`.
 * @throws Mqtt2goError `unavailable` when none runs there; `configuration_invalid` when its files cannot be read
 */
export async function openOperator(dataDir: string, signal?: AbortSignal): Promise<Operator> {
  const platform = await readPlatformFile(dataDir);
  if (platform === undefined) {
    throw new Mqtt2goError(
      'unavailable',
      `No platform runs on the data folder ${dataDir} (${platformFilePath(dataDir)} is not there). Start one with npm start, or tell its folder with --data.`,
    );
  }
  const read = (...path: string[]): Promise<string> => readTls(join(platform.tlsDir, ...path));
  const [ca, servicesCa, cert, key] = await Promise.all([
    read('ca.crt'),
    read('services-ca.crt'),
    read('services', 'operator.crt'),
    read('services', 'operator.key'),
  ]);
  const clients: MqttClient[] = [];
  // On a machine whose clock is behind, the platform's certificates are from what is the future there.
  const lastKnownMs = (await readLastKnownTime(dataDir).catch(() => undefined)) ?? 0;
  const link = tlsLink({
    url: platform.busUrl,
    ca: servicesCa,
    cert,
    key,
    clientId: 'operator',
    faultOf: (socket, host) =>
      serverFault(socket, host, { trustAnchors: [servicesCa], nowMs: Math.max(Date.now(), lastKnownMs) }),
  });
  const noticed: BrokerLink = {
    address: link.address,
    open: (suffix, options) => {
      const client = link.open(suffix, options);
      clients.push(client);
      return client;
    },
  };
  const bus = new Bus(noticed, undefined, 'operator');
  try {
    await Promise.all(clients.map((client) => connected(client, platform, signal)));
  } catch (error) {
    await bus.close();
    throw error;
  }
  return { platform, ca, bus, close: () => bus.close() };
}

async function readTls(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new Mqtt2goError(
      'configuration_invalid',
      `${path} cannot be read. Run this command as the user who runs the platform, on the same machine.`,
      { cause },
    );
  }
}

function connected(client: MqttClient, platform: PlatformFile, signal: AbortSignal | undefined): Promise<void> {
  if (client.connected) return Promise.resolve();
  return new Promise((resolve, reject) => {
    let last: Error | undefined;
    const unavailable = (why: string): Mqtt2goError =>
      new Mqtt2goError(
        'unavailable',
        `The platform at ${platform.busUrl} does not answer (${why}); it may have been killed. Start it again with npm start.`,
        { cause: last },
      );
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      client.off('connect', up);
      client.off('error', failed);
      client.off('close', failed);
      signal?.removeEventListener('abort', aborted);
      act();
    };
    const up = (): void => settle(resolve);
    const failed = (error?: Error): void => {
      last = error ?? last;
      settle(() => reject(unavailable(last?.message ?? 'the connection was closed')));
    };
    const aborted = (): void => settle(() => reject(signal?.reason));
    const timer = setTimeout(
      () => settle(() => reject(unavailable(`no answer in ${connectTimeoutMs / 1_000} s`))),
      connectTimeoutMs,
    );
    client.on('connect', up);
    client.on('error', failed);
    client.on('close', failed);
    signal?.addEventListener('abort', aborted, { once: true });
  });
}
