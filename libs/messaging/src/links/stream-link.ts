import { Duplex } from 'node:stream';
import { MqttClient } from 'mqtt';
import type { BrokerLink, OpenOptions } from './broker-link.js';
import { connectionOptions } from './link-defaults.js';

export interface StreamLinkOptions {
  /** For logs and health, such as `in-process home`. */
  readonly address: string;
  /** A new stream whose other end the broker serves; called again for each reconnect. */
  readonly connect: () => Duplex;
  readonly clientId: string;
}

/** A way to a broker in the same process, over a pair of streams. */
export function streamLink({ address, connect, clientId }: StreamLinkOptions): BrokerLink {
  return {
    address,
    open(suffix: string, options?: OpenOptions): MqttClient {
      return new MqttClient(() => openOrFail(connect), connectionOptions(clientId, suffix, options));
    },
  };
}

/** mqtt.js builds streams in a timer, where a throw would end the process: a broker that is gone is a broken stream. */
function openOrFail(connect: () => Duplex): Duplex {
  try {
    return connect();
  } catch (error) {
    const broken = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    setImmediate(() => broken.destroy(error instanceof Error ? error : new Error(String(error))));
    return broken;
  }
}
