import { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { isControllerUsername } from '@mqtt2go/access';
import { issuesNoAuthorities } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import type { BrokerLimits } from '../broker-limits.js';
import type { Log } from '../log.js';
import type { Arrival } from './arrival.js';
import { type Listener, type ListenerEvents, listenTls, type ServerIdentity } from './listeners.js';
import { type FirstPacketLimits, peekConnect } from './first-packet.js';

type Serve = (connection: Duplex, arrival: Arrival) => void;

/** The two brokers behind a port. */
export interface Behind {
  readonly home: { readonly serve: Serve; readonly hasController: (username: string) => boolean };
  readonly activation: { readonly serve: Serve };
}

/**
 * Opens the one port of two brokers. Of the trust anchors that it is given while it runs, it takes CAs with the path
 * length 0 only, see {@link SharedPort}. @throws Mqtt2goError `port_in_use`
 */
export async function listenShared(
  options: ServerIdentity & { readonly ca: string },
  parts: { behind: Behind; limits: BrokerLimits; events: ListenerEvents; clock: Clock; log: Log },
): Promise<Listener> {
  const { behind, limits, events, clock, log } = parts;
  const port = new SharedPort(behind, { maxBytes: limits.maxConnectPacketBytes, timeoutMs: limits.connectTimeoutMs });
  const tls = { ...options, clientCertificates: 'optional' } as const;
  const listener = await listenTls('tls', tls, limits, { ...events, connected: port.receive }, clock);
  return {
    ...listener,
    setTrustAnchors: (all) => {
      const others = all.filter((certificate) => certificate !== options.ca);
      const taken = others.filter(issuesNoAuthorities);
      if (taken.length < others.length) {
        log.warn(
          { count: others.length - taken.length },
          'CAs of manufacturers that could have CAs below them are not trusted on a port that they share with the home',
        );
      }
      port.manufacturers = taken.map((certificate) => new X509Certificate(certificate));
      listener.setTrustAnchors([options.ca, ...taken]);
    },
  };
}

/**
 * Tells the clients of one port apart, after the TLS handshake. By the certificate, where there is one: that of a
 * manufacturer belongs to the activation broker, any other that TLS trusts to the home's broker. Else by the user name of
 * the CONNECT: a controller's belongs to the home's broker, any other to the activation broker. Each broker then decides
 * by itself who comes in.
 */
export class SharedPort {
  /** TLS trusts no CA below these. */
  manufacturers: readonly X509Certificate[] = [];

  constructor(
    private readonly behind: Behind,
    private readonly firstPacket: FirstPacketLimits,
  ) {}

  readonly receive: Serve = (connection, arrival) => {
    if (arrival.certificate === undefined) void this.#byUsername(connection, arrival);
    else this.#byCertificate(connection, arrival);
  };

  async #byUsername(connection: Duplex, arrival: Arrival): Promise<void> {
    const { home, activation } = this.behind;
    const username = (await peekConnect(connection, this.firstPacket))?.username;
    const isController = username === undefined || isControllerUsername(username) || home.hasController(username);
    (isController ? home : activation).serve(connection, arrival);
  }

  /**
   * TLS trusts both kinds here, and Node.js does not tell a server by which CA. A manufacturer issues its devices'
   * certificates itself (its CA has the path length 0), so that these bear its name: one that does, and is not of its key,
   * comes by a CA that has given itself the manufacturer's name, and is nobody's.
   */
  #byCertificate(connection: Duplex, arrival: Arrival): void {
    const { home, activation } = this.behind;
    const { certificate } = arrival;
    const leaf = connection instanceof TLSSocket ? connection.getPeerX509Certificate() : undefined;
    if (certificate === undefined || leaf === undefined || certificate.distrust !== undefined) {
      return home.serve(connection, arrival);
    }
    const namesakes = this.manufacturers.filter(({ subject }) => sameName(subject, leaf.issuer));
    if (namesakes.length === 0) return home.serve(connection, arrival);
    if (namesakes.some((manufacturer) => leaf.checkIssued(manufacturer) && leaf.verify(manufacturer.publicKey))) {
      return activation.serve(connection, arrival);
    }
    home.serve(connection, { ...arrival, certificate: { ...certificate, distrust: 'issued under a name of another' } });
  }
}

/** As OpenSSL compares names: without regard to case and to how much white space there is. */
function sameName(one: string, other: string): boolean {
  return plain(one) === plain(other);
}

function plain(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^\S\n]+/g, ' ')
    .replaceAll(/ ?(=|\n|\+) ?/g, '$1')
    .trim();
}
