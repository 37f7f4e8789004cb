import { Mqtt2goError, topics } from '@mqtt2go/protocol';
import type { Levels } from './topic-filter.js';

/** Where a broker takes changes of its access copy, and where it answers. */
export const accessControlTopic = '$CONTROL/mqtt2go-access/v1';
export const accessControlResponseTopic = `${accessControlTopic}/response`;

/**
 * Makes patterns of filters. An id that may not stand in a topic yields no pattern at all: it must
 * neither widen a topic nor stop a broker.
 */
export function patternsOf(filters: () => readonly string[]): readonly Levels[] {
  try {
    return filters().map((filter) => filter.split('/'));
  } catch (error) {
    if (error instanceof Mqtt2goError) return [];
    throw error;
  }
}

/** `<id>/topics` and Rev 1.2's `<id>/topic`, both with and without a leading slash; of every device by default. */
export const topicQueries = (deviceId?: string): readonly string[] => {
  const params = deviceId === undefined ? {} : { deviceId };
  return [...topics.deviceTopics.filters(params), ...topics.deviceTopic.filters(params)];
};

/** `<home>` and all that is below it, with and without a leading slash. */
export const homeTree = (homeId: string): readonly string[] =>
  topics.gateway.filters({ homeId }).map((filter) => filter.replace(/\+$/, '#'));
