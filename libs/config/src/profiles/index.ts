import { invalidSettings, wrongSetting } from '../settings.js';
import { localGateway } from './local-gateway.js';
import type { Profile } from './profile.js';
import { remoteBroker } from './remote-broker.js';

export { localGateway } from './local-gateway.js';
export type { Profile } from './profile.js';
export { remoteBroker } from './remote-broker.js';

/** All that there are, by their names. */
export const profiles: readonly Profile[] = [remoteBroker, localGateway];

export const profileExpectation = profiles.map(({ name }) => `'${name}'`).join(' or ');

/** @throws Mqtt2goError `configuration_invalid` */
export function findProfile(name: string): Profile {
  const profile = profiles.find((known) => known.name === name);
  if (profile === undefined) throw invalidSettings([wrongSetting('MQTT2GO_PROFILE', name, profileExpectation)]);
  return profile;
}
