import { subscriptionNoticesTopic } from '@mqtt2go/access';
import type { SubscriptionNotice, SubscriptionNotices } from '@mqtt2go/ports';
import { identifier } from '@mqtt2go/protocol';
import { z } from 'zod';

const notice = z.object({ deviceId: identifier.optional(), filters: z.array(z.string().max(512)).max(1_000) });

/** How embedded home brokers tell of subscriptions. */
export const embeddedSubscriptionNotices: SubscriptionNotices = {
  filter: subscriptionNoticesTopic,
  read(topic, payload) {
    if (topic !== subscriptionNoticesTopic) return undefined;
    try {
      const { deviceId, filters } = notice.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
      return { deviceId, filters };
    } catch {
      return undefined;
    }
  },
};

export function writeNotice({ deviceId, filters }: SubscriptionNotice): Buffer {
  return Buffer.from(JSON.stringify({ ...(deviceId === undefined ? {} : { deviceId }), filters }));
}
