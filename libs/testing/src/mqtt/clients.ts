import { connect, type IClientOptions, type MqttClient } from 'mqtt';

const quiet = { protocolVersion: 4, reconnectPeriod: 0, connectTimeout: 10_000 } as const;

/** A client that is connected, or the reason why it was not let in. */
export type Outcome = { readonly client: MqttClient } | { readonly refusedWith: string };

/** Connects once. `refusedWith` is mqtt.js' text of the CONNACK, a TLS alert, or `closed` without either. */
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

/** True if the subscription was granted; false too if the connection ends over it. */
export async function subscribes(client: MqttClient, filter: string): Promise<boolean> {
  // One that comes back by itself may not be there yet.
  if (!client.connected && client.options.reconnectPeriod === 0) return false;
  return new Promise((resolve) => {
    client.once('close', () => resolve(false));
    client.subscribe(filter, { qos: 1 }, (error, granted) => {
      resolve(error === null && granted?.[0] !== undefined && granted[0].qos <= 2);
    });
  });
}

export function closed(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    if (!client.connected) resolve();
    else client.once('close', () => resolve());
  });
}

/** The next message that a client gets, as `topic payload`. */
export function nextMessage(client: MqttClient): Promise<string> {
  return new Promise((resolve) => {
    client.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`));
  });
}
