import type { RestApi } from '@mqtt2go/runtime';

/** The operator's REST side of a gateway. */
export const gatewayApi: RestApi = {
  title: 'MQTT2GO gateway',
  description: 'Moves the home of a gateway to the cloud and back, and tells how that goes.',
  caller: 'operator',
  served: [{ path: /^\/homes\/[^/]+\/move\/?$/, methods: ['POST', 'GET', 'HEAD'] }],
  identifiers: ['home_id'],
  bodyLimitBytes: 4_096,
};
