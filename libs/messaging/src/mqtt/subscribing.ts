import { Mqtt2goError } from '@mqtt2go/protocol';
import type { MqttClient } from 'mqtt';
import type { Logger } from 'pino';
import { z } from 'zod';

const retryDelayMs = 1_000;

/** SUBACK's codes above this are refusals (MQTT-3.9.3-2). */
const highestQos = 2;
const suback = z.object({
  packet: z.object({ granted: z.array(z.union([z.number(), z.object({ qos: z.number() })])) }),
});

/**
 * Subscribes at QoS 1, and is refused if any of `filters` is.
 * @throws Mqtt2goError `forbidden` when the broker refuses a filter, `unavailable` when no answer comes
 */
export async function subscribeAll(client: MqttClient, filters: readonly string[]): Promise<void> {
  if (filters.length === 0) {
    return;
  }
  try {
    await client.subscribeAsync([...filters], { qos: 1 });
  } catch (error) {
    const answer = suback.safeParse(error);
    if (!answer.success) {
      throw new Mqtt2goError('unavailable', 'the broker went away while subscribing', { cause: error });
    }
    const codes = answer.data.packet.granted.map((granted) => (typeof granted === 'number' ? granted : granted.qos));
    const refused = filters.filter((_filter, index) => (codes[index] ?? 0) > highestQos);
    throw new Mqtt2goError('forbidden', `the broker refuses the subscription to ${refused.join(', ')}`, {
      cause: error,
    });
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
