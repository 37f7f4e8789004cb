import { type Duplex, PassThrough } from 'node:stream';
import { type ConnectionOptions, connect as tlsConnect, type TLSSocket } from 'node:tls';
import type { ServiceName } from '@mqtt2go/access';
import { connect, type IClientOptions, MqttClient } from 'mqtt';
import type { EmbeddedBroker } from '../embedded-broker.js';

const quiet = { protocolVersion: 4, reconnectPeriod: 0, connectTimeout: 8_000 } as const;

/** A client that is connected, or the reason why it was not let in. */
export type Outcome = { readonly client: MqttClient } | { readonly refusedWith: string };

/** Connects once. `refusedWith` is mqtt.js' text of the CONNACK, or `closed` without one. */
export function tryConnect(url: string, options: IClientOptions): Promise<Outcome> {
  return new Promise((resolve) => {
    const client = connect(url, { clientId: 'test', ...quiet, ...options });
    let problem = 'closed';
    client.once('connect', () => resolve({ client }));
    client.on('error', (error) => {
      problem = error.message;
    });
    client.once('close', () => {
      resolve({ refusedWith: problem });
      client.end(true);
    });
  });
}

/** @throws Error when it is not let in */
export async function mustConnect(url: string, options: IClientOptions): Promise<MqttClient> {
  const outcome = await tryConnect(url, options);
  if ('refusedWith' in outcome) throw new Error(`not let in: ${outcome.refusedWith}`);
  return outcome.client;
}

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

/** True if the subscription was granted. */
export async function subscribes(client: MqttClient, filter: string): Promise<boolean> {
  return new Promise((resolve) => {
    client.subscribe(filter, { qos: 1 }, (error, granted) => {
      resolve(error === null && granted?.[0] !== undefined && granted[0].qos <= 2);
    });
  });
}

export function closed(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    if (client.disconnected || !client.connected) resolve();
    else client.once('close', () => resolve());
  });
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
