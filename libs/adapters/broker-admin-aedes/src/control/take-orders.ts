import { accessControlResponseTopic, accessControlTopic } from '@mqtt2go/access';
import type { Aedes } from 'aedes';
import type { ControlEndpoint } from './control-endpoint.js';

/** Has the endpoint answer what comes on the control topic, whose one subscriber is the broker itself. */
export function takeOrders(aedes: Aedes, endpoint: ControlEndpoint): void {
  aedes.subscribe(
    accessControlTopic,
    (packet, done) => {
      done();
      void endpoint.answer(Buffer.from(packet.payload)).then((response) => {
        if (response === undefined || aedes.closed) return;
        const payload = JSON.stringify(response);
        const answer = { cmd: 'publish', topic: accessControlResponseTopic, payload, qos: 1, retain: false } as const;
        aedes.publish({ ...answer, dup: false }, () => undefined);
      });
    },
    () => undefined,
  );
}
