import { activateDevicePath } from '@mqtt2go/protocol';
import type { RestApi } from '@mqtt2go/runtime';
import { ActivationMetrics } from '../claiming/activation-metrics.js';

/** The REST side of the Discovery server. */
export const discoveryApi: RestApi = {
  title: 'MQTT2GO Discovery server',
  description:
    'Step 2 of the set-up with a remote broker: the platform tells the Discovery server of a device that will come.',
  caller: 'provisioning',
  served: [
    { path: new RegExp(`^${activateDevicePath}/?$`), methods: ['POST'] },
    { path: new RegExp(`^${activateDevicePath}/[^/]+$`), methods: ['DELETE'] },
  ],
  identifiers: ['device_id', 'activation_code', 'onboarding_id'],
  bodyLimitBytes: 65_536,
  refused: (app, { code }) => app.get(ActivationMetrics).refused(code),
};
