import { localBrokerHost } from '@mqtt2go/protocol';
import type { Profile } from './profile.js';

/** Everything is in the house; devices find it as {@link localBrokerHost} and need no Discovery server. */
export const localGateway: Profile = Object.freeze({
  name: 'local-gateway',
  homeBroker: 'local',
  discovery: false,
  hostNames: [localBrokerHost],
  plugins: ['revision-1', 'network-join-manual'],
});
