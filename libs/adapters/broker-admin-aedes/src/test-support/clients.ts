import { type Duplex, PassThrough } from 'node:stream';
import { type ConnectionOptions, connect as tlsConnect, type TLSSocket } from 'node:tls';
import type { ServiceName } from '@mqtt2go/access';
import { type IClientOptions, MqttClient } from 'mqtt';
import type { EmbeddedBroker } from '../embedded-broker.js';

/** A connection of a service inside the process, which comes back when it breaks. */
export function inProcess(
  broker: () => EmbeddedBroker,
  service: ServiceName,
  clientId = 'test',
  options: IClientOptions = {},
): MqttClient {
  const client = new MqttClient(() => connectOrFail(broker(), service), {
    protocolVersion: 4,
    clientId,
    reconnectPeriod: 20,
    resubscribe: false,
    ...options,
  });
  client.on('error', () => undefined);
  return client;
}

/** mqtt.js calls this in a timer, where a throw would end the process. */
function connectOrFail(broker: EmbeddedBroker, service: ServiceName): Duplex {
  try {
    return broker.connectInProcess(service);
  } catch {
    const broken = new PassThrough();
    setImmediate(() => broken.destroy());
    return broken;
  }
}

export interface Received {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
}

/** All that a client gets from now on. */
export function received(client: MqttClient): Received[] {
  const all: Received[] = [];
  client.on('message', (topic, payload, { retain }) => all.push({ topic, payload: payload.toString(), retain }));
  return all;
}

/** A TLS connection without an MQTT client on it; resolves when it is up. */
export function rawTls(options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ host: '127.0.0.1', ...options }, () => resolve(socket));
    socket.once('error', reject);
  });
}
