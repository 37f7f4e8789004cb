import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceName } from '@mqtt2go/access';
import { Bus, certificateAuthority, tlsLink, topicGenerator } from '@mqtt2go/messaging';
import { generateKeys, splitPem, writePrivateKey, writePublicKey } from '@mqtt2go/pki';
import pRetry from 'p-retry';
import pg from 'pg';
import { databaseUrlOf, type GatewayProcess } from '../gateway-process.js';

export interface RegisteredDevice {
  readonly deviceId: string;
  /** PEM: certificate and chain. */
  readonly cert: string;
  readonly key: string;
}

const atOnce = 16;

/** The platform's bus, as one of its services or as the operator. */
export async function busOf({ file }: GatewayProcess, service: ServiceName): Promise<Bus> {
  const read = (...path: string[]): Promise<string> => readFile(join(file.tlsDir, ...path), 'utf8');
  const bus = new Bus(
    tlsLink({
      url: file.busUrl,
      ca: await read('services-ca.crt'),
      cert: await read('services', `${service}.crt`),
      key: await read('services', `${service}.key`),
      clientId: `${service}-bench`,
    }),
  );
  // It connects by itself; ten seconds are for a busy machine.
  await pRetry(() => bus.checkHealth(), { retries: 500, minTimeout: 20, factor: 1 });
  return bus;
}

/** Devices of a home as if each had been added: issued, admitted and named by the services, with keys of their own. */
export async function registerInHome(
  gateway: GatewayProcess,
  dataDir: string,
  home: { readonly homeId: string; readonly gatewayId: string },
  count: number,
): Promise<RegisteredDevice[]> {
  const bus = await busOf(gateway, 'provisioning');
  const client = new pg.Client({ connectionString: await databaseUrlOf(dataDir) });
  await client.connect();
  try {
    const devices: RegisteredDevice[] = [];
    const numbers = Array.from({ length: count }, (_, number) => number);
    const work = async (): Promise<void> => {
      for (let number = numbers.pop(); number !== undefined; number = numbers.pop()) {
        devices.push(await register(bus, client, home, `bench-${String(number).padStart(5, '0')}`));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return devices;
  } finally {
    await client.end();
    await bus.close();
  }
}

async function register(
  bus: Bus,
  client: pg.Client,
  { homeId, gatewayId }: { readonly homeId: string; readonly gatewayId: string },
  deviceId: string,
): Promise<RegisteredDevice> {
  const keys = await generateKeys();
  const onboardingId = randomUUID();
  const { serialNumber, deviceCertificate } = await bus.call(certificateAuthority.issueDeviceCertificate, {
    onboardingId,
    deviceId,
    keyMode: 'existing-key',
    publicKey: writePublicKey(keys.publicKey),
  });
  const admission = { onboardingId, deviceId, homeId, gatewayId, deviceType: 'socket', serialNumber };
  await bus.call(topicGenerator.admitDevice, admission);
  const { topics } = await bus.call(topicGenerator.assignTopics, { deviceId, groupIds: ['living'] });
  await client.query(
    `INSERT INTO provisioning.onboarding (onboarding_id, home_id, gateway_id, device_id, device_type, key_mode,
       request_digest, state, version, requested_at, deadline, certified, announced_again, controller_revision,
       controller_topic, device_revision, device_topic, device_name, group_ids, topics, lease_until, changed_at)
     VALUES ($1, $2, $3, $4, 'socket', 'existing-key', $5, 'active', 6, now(), now(), true, false, '1.0', $6, '1.0', $7,
       'Bench', ARRAY['living'], $8, now(), now())`,
    [
      onboardingId,
      homeId,
      gatewayId,
      deviceId,
      randomBytes(32).toString('base64url'),
      `${homeId}/${gatewayId}/add_device`,
      `${deviceId}/topics`,
      topics,
    ],
  );
  const cert = splitPem(deviceCertificate)
    .map(({ pem }) => pem)
    .join('\n');
  return { deviceId, cert, key: writePrivateKey(keys.privateKey) };
}
