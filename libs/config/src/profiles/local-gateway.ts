import type { Profile } from './profile.js';

/** By which devices look for a gateway in the house. */
export const localGatewayHost = 'MQTT2GO.local';

/** Everything is in the house; devices find it as {@link localGatewayHost} and need no Discovery server. */
export const localGateway: Profile = Object.freeze({
  name: 'local-gateway',
  homeBroker: 'local',
  discovery: false,
  hostNames: [localGatewayHost],
  plugins: ['revision-1', 'network-join-manual'],
});
