import type { SubscriptionNotices } from '@mqtt2go/ports';
import { identifier } from '@mqtt2go/protocol';
import { idOf } from './entries/entry.js';

/** Mosquitto's log of subscriptions, with `log_dest topic` and `log_type subscribe`. */
export const subscriptionLogTopic = '$SYS/broker/log/M/subscribe';

/** `2026-01-01T00:00:00Z: lamp-1 1 home-1/gw/living/light/lamp-1`; 128 in the place of the QoS is a refusal. */
const line = /^(?:.*?: )?(?<client>.+) [012] (?<filter>\S+)$/;

/** How Mosquitto tells of subscriptions: a device's client id is its user name. */
export const mosquittoSubscriptionNotices: SubscriptionNotices = {
  filter: subscriptionLogTopic,
  read(topic, payload) {
    if (topic !== subscriptionLogTopic) return undefined;
    const { client, filter } = line.exec(Buffer.from(payload).toString('utf8'))?.groups ?? {};
    if (filter === undefined) return undefined;
    return { deviceId: identifier.safeParse(idOf(client ?? '')).data, filters: [filter] };
  },
};
