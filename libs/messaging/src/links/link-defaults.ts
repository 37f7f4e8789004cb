import { randomBytes } from 'node:crypto';
import type { IClientOptions } from 'mqtt';
import type { OpenOptions } from './broker-link.js';

/** How every connection of a service behaves, whatever it runs over. */
export function connectionOptions(
  clientId: string,
  suffix: string,
  { endsSession = false, ...options }: OpenOptions = {},
): IClientOptions {
  return {
    protocolVersion: 4,
    clean: true,
    keepalive: 30,
    connectTimeout: 10_000,
    reconnectPeriod: 250,
    // A broker that is full, for one, refuses a service for a moment; mqtt.js would never come again.
    reconnectOnConnackError: true,
    // Subscriptions are made again by MessageIntake, which looks at the answer; mqtt.js would not.
    resubscribe: false,
    queueQoSZero: false,
    // All numbers up to 65,535 as buffers made beforehand: 8 MB in every process, for nothing that could be measured.
    writeCache: false,
    ...options,
    clientId: uniqueClientId(clientId, suffix, (options.clean ?? true) && !endsSession),
  };
}

/**
 * A session that outlives its connection is found again by a client id that stays; any other gets a fresh one. The colon
 * stands in no device id: where a device's client id is its own id, no device can take a service's session over.
 */
function uniqueClientId(clientId: string, suffix: string, isFresh: boolean): string {
  const stem = `service:${suffix === '' ? clientId : `${clientId}-${suffix}`}`;
  return isFresh ? `${stem}-${randomBytes(4).toString('hex')}` : stem;
}
