import type { Levels } from './topic-filter.js';

/** Where a broker takes changes of its access copy, and where it answers. */
export const accessControlTopic = '$CONTROL/mqtt2go-access/v1';
export const accessControlResponseTopic = `${accessControlTopic}/response`;

const any = '+';

/** `<home>/<gw>/add_device` */
export const addDevice = (homeId: string = any, gatewayId: string = any): Levels => [homeId, gatewayId, 'add_device'];

/** `<id>/topics`, and Rev 1.2's `<id>/topic`. */
export const topicQueries = (deviceId: string = any): readonly Levels[] => [
  [deviceId, 'topics'],
  [deviceId, 'topic'],
];

/** `<code>/activation` */
export const activation = (activationCode: string = any): Levels => [activationCode, 'activation'];

/** `<home>/<gw>/<group>/<type>/<id>`, the general form. */
export const deviceTopic = (
  homeId: string,
  gatewayId: string = any,
  groupId: string = any,
  deviceType: string = any,
  deviceId: string = any,
): Levels => [homeId, gatewayId, groupId, deviceType, deviceId];

/** `<home>` and all that is below it. */
export const homeTree = (homeId: string): Levels => [homeId, '#'];

/** The pattern, and its form with a leading slash: one page of the standard writes it, others do not. */
export function inBothForms(pattern: Levels): readonly Levels[] {
  return [pattern, ['', ...pattern]];
}
