/** The ports of a gateway, as its variables name them (`MQTT2GO_<name>_PORT`). */
export const gatewayPorts = [
  'HOME',
  'HOME_WSS',
  'ACTIVATION',
  'DISCOVERY',
  'HEALTH',
  'BUS',
  'HOME_SERVICES',
  'ACTIVATION_SERVICES',
  'FEDERATION',
  'MANAGEMENT',
];
