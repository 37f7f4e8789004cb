import type { IClientOptions, MqttClient } from 'mqtt';

export interface OpenOptions extends IClientOptions {
  /** With `clean`: under the name of a session that the broker keeps, which ends by it. */
  readonly endsSession?: boolean;
}

/** A way to a broker for one service: over TLS with its service certificate, or inside the process. */
export interface BrokerLink {
  /** For logs and health: `mqtts://127.0.0.1:8886` or `in-process home`. */
  readonly address: string;
  /** Opens a connection that mqtt.js keeps up; `clientId` is made unique per call with `suffix`. */
  open(suffix: string, options?: OpenOptions): MqttClient;
}
