import { invalidSettings, wrongSetting } from '../settings.js';
import type { Profile } from './profile.js';
import { remoteBroker } from './remote-broker.js';

export type { Profile } from './profile.js';
export { remoteBroker } from './remote-broker.js';

/** @throws Mqtt2goError `configuration_invalid` */
export function findProfile(name: string): Profile {
  if (name === remoteBroker.name) {
    return remoteBroker;
  }
  const expectation =
    name === 'local-gateway'
      ? "'remote-broker'; the 'local-gateway' profile is not available in this version"
      : "'remote-broker'";
  throw invalidSettings([wrongSetting('MQTT2GO_PROFILE', name, expectation)]);
}
