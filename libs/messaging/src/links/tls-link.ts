import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import type { BrokerLink } from './broker-link.js';
import { connectionOptions } from './link-defaults.js';

export interface TlsLinkOptions {
  /** `mqtts://host:port`. */
  readonly url: string;
  /** PEM trust anchors for the broker's certificate. */
  readonly ca: string | Buffer;
  /** PEM, the service's certificate. */
  readonly cert: string | Buffer;
  /** PEM, its private key. */
  readonly key: string | Buffer;
  /** What client ids begin with, such as `provisioning`. */
  readonly clientId: string;
}

/** A way to a broker over mutual TLS, with a service's certificate. */
export function tlsLink({ url, ca, cert, key, clientId }: TlsLinkOptions): BrokerLink {
  return {
    address: url,
    open(suffix: string, options?: IClientOptions): MqttClient {
      return connect({
        ...endpoint(url),
        ...connectionOptions(clientId, suffix, options),
        ca,
        cert,
        key,
        rejectUnauthorized: true,
      });
    },
  };
}

/** mqtt.js takes a URL apart by what Node.js warns of. IPv6 addresses come without their brackets. */
function endpoint(url: string): IClientOptions {
  const { hostname, port } = new URL(url);
  return { protocol: 'mqtts', host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? 8883 : Number(port) };
}
