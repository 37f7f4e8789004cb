import { Mqtt2goError } from '@mqtt2go/protocol';
import type { MqttClient } from 'mqtt';
import type { Logger } from 'pino';

const retryDelayMs = 1_000;

/**
 * Subscribes at QoS 1 and reads the SUBACK, whose refusals mqtt.js reports nowhere.
 * @throws Mqtt2goError `forbidden` when a filter is refused, `unavailable` when no answer comes
 */
export async function subscribeAll(client: MqttClient, filters: readonly string[]): Promise<void> {
  if (filters.length === 0) {
    return;
  }
  const granted = await client.subscribeAsync([...filters], { qos: 1 }).catch((error: unknown) => {
    const refused = error instanceof Error && 'packet' in error && error.packet !== undefined;
    throw refused
      ? new Mqtt2goError('forbidden', `the broker refuses a subscription among ${filters.join(', ')}`, { cause: error })
      : new Mqtt2goError('unavailable', 'the broker went away while subscribing', { cause: error });
  });
  const refused = granted.filter(({ qos }) => qos > 2).map(({ topic }) => topic);
  if (refused.length > 0) {
    throw new Mqtt2goError('forbidden', `the broker refuses the subscription to ${refused.join(', ')}`);
  }
}

/**
 * Keeps subscriptions through reconnects. Resolves when the first connection has them all; rejects when the
 * broker refuses one then. Refused later (access may lag behind a broker's restart), it is asked for again.
 */
export function keepSubscribed(client: MqttClient, filters: readonly string[], log: Logger): Promise<void> {
  return new Promise((resolve, reject) => {
    let settled = false;
    const subscribe = (): void => {
      subscribeAll(client, filters).then(
        () => {
          settled = true;
          resolve();
        },
        (error: unknown) => {
          if (error instanceof Mqtt2goError && error.code === 'unavailable') {
            return;
          }
          if (!settled) {
            settled = true;
            reject(error);
            return;
          }
          log.error({ err: error }, 'subscription refused after a reconnect; asking again');
          setTimeout(() => {
            if (client.connected) {
              subscribe();
            }
          }, retryDelayMs).unref();
        },
      );
    };
    client.on('connect', subscribe);
    if (client.connected) {
      subscribe();
    }
  });
}

/** Logs a lost broker once per outage, and its return. */
export function logConnection(client: MqttClient, address: string, log: Logger): void {
  let lost = false;
  client.on('connect', () => {
    if (lost) {
      log.info({ broker: address }, 'broker is back');
    }
    lost = false;
  });
  const report = (error?: Error): void => {
    if (!lost && !client.disconnecting) {
      lost = true;
      log.warn({ broker: address, reason: error?.message }, 'broker cannot be reached; trying again');
    }
  };
  client.on('error', report);
  client.on('close', () => report());
}
