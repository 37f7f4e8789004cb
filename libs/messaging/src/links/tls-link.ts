import { isIP, Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { connect, type IClientOptions, MqttClient } from 'mqtt';
import type { BrokerLink } from './broker-link.js';
import { connectionOptions } from './link-defaults.js';

export interface TlsLinkOptions {
  /** `mqtts://host:port`; of a cluster several, one at least, which are tried in turn. */
  readonly url: string | readonly string[];
  /** PEM trust anchors for the broker's certificate. */
  readonly ca: string | Buffer;
  /** PEM, the service's certificate. */
  readonly cert: string | Buffer;
  /** PEM, its private key. */
  readonly key: string | Buffer;
  /** What client ids begin with, such as `provisioning`. */
  readonly clientId: string;
  /** Why the broker's certificate is not to be trusted, if it is not; by TLS itself, and the system's clock, by default. */
  readonly faultOf?: ServerJudge | undefined;
}

/** Why the certificate of a server is not to be trusted as that of `host`; undefined if it is. */
export type ServerJudge = (socket: TLSSocket, host: string) => string | undefined;

/** A way to a broker over mutual TLS, with a service's certificate. */
export function tlsLink({ url, ca, cert, key, clientId, faultOf }: TlsLinkOptions): BrokerLink {
  const urls = typeof url === 'string' ? [url] : url;
  return {
    address: urls.join(', '),
    open(suffix: string, options?: IClientOptions): MqttClient {
      // mqtt.js reads host and port from this very object whenever it connects.
      const given: IClientOptions = {
        ...endpoint(urls[0] ?? ''),
        ...connectionOptions(clientId, suffix, options),
        ca,
        cert,
        key,
        rejectUnauthorized: true,
      };
      const client = faultOf === undefined ? connect(given) : new MqttClient(() => judgedSocket(given, faultOf), given);
      sendAtOnce(client);
      tryInTurn(client, given, urls);
      return client;
    },
  };
}

export type JudgedServer = Pick<IClientOptions, 'host' | 'port' | 'servername' | 'ca' | 'cert' | 'key'>;

/** A connection that is destroyed, before anything is sent on it, where `faultOf` finds fault with the server. */
export function judgedSocket(to: JudgedServer, faultOf: ServerJudge): TLSSocket {
  const { host = '', port, servername, ca, cert, key } = to;
  const socket = connectTls({ host, port, servername, ca, cert, key, rejectUnauthorized: false });
  // Before anything that was written meanwhile is sent.
  socket.once('secureConnect', () => {
    const fault = faultOf(socket, servername ?? host);
    if (fault !== undefined) socket.destroy(new Error(fault));
  });
  return socket;
}

/** Or each small packet that follows another waits for the broker's delayed acknowledgement, 40 ms. */
function sendAtOnce(client: MqttClient): void {
  client.on('connect', () => {
    if (client.stream instanceof Socket) client.stream.setNoDelay(true);
  });
}

function tryInTurn(client: MqttClient, given: IClientOptions, urls: readonly string[]): void {
  let tried = 0;
  client.on('close', () => {
    tried += 1;
    const next = urls[tried % urls.length];
    if (urls.length > 1 && next !== undefined) Object.assign(given, endpoint(next));
  });
}

/** mqtt.js takes a URL apart by what Node.js warns of. IPv6 addresses come without their brackets. */
function endpoint(url: string): IClientOptions {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  // The name that the broker's certificate is looked at for; an address has none.
  const servername = isIP(host) === 0 ? host : undefined;
  return { protocol: 'mqtts', host, port: port === '' ? 8883 : Number(port), servername };
}
