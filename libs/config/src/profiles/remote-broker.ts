import type { Profile } from './profile.js';

/** The home's broker is in the cloud; devices find it through the Discovery server. */
export const remoteBroker: Profile = Object.freeze({
  name: 'remote-broker',
  homeBroker: 'remote',
  discovery: true,
  hostNames: [],
  plugins: ['revision-1'],
});
