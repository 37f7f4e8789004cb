/**
 * The MQTT topic of a routing key. RabbitMQ writes `/` as `.` and `+` as `*`, and looks at nothing but the routing key
 * from then on: to it `a.b/c` and `a/b/c` are one topic. So the key is read the way it works, every `.` as the end of
 * a level; an id with a dot in it is two levels there and nobody's own.
 */
export function topicOfRoutingKey(routingKey: string): string {
  return routingKey.replaceAll('.', '/');
}

/** As {@link topicOfRoutingKey}, of a subscription's filter. */
export function filterOfRoutingKey(routingKey: string): string {
  return topicOfRoutingKey(routingKey).replaceAll('*', '+');
}

/** True for an id that stays one level in a routing key. */
export function isRoutable(id: string): boolean {
  return !id.includes('.');
}
