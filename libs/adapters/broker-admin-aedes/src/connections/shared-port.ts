import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { isControllerUsername } from '@mqtt2go/access';
import { toPem, verifyChain } from '@mqtt2go/pki';
import type { Arrival } from './arrival.js';
import { type FirstPacketLimits, peekConnect } from './first-packet.js';

/** One of the two brokers behind a port. */
export interface Behind {
  readonly serve: (connection: Duplex, arrival: Arrival) => void;
  /** PEM: the CAs whose certificates belong to it. */
  readonly authorities: () => readonly string[];
}

export interface SharedPortOptions {
  readonly home: Behind & { readonly hasController: (username: string) => boolean };
  readonly activation: Behind;
  readonly firstPacket: FirstPacketLimits;
}

/**
 * Tells the clients of one port apart, after the TLS handshake. By the certificate, where there is one: that of the
 * platform belongs to the home's broker, that of a manufacturer to the activation broker. Else by the user name of the
 * CONNECT: a controller's belongs to the home's broker, any other to the activation broker. Each broker then decides by
 * itself who comes in.
 */
export class SharedPort {
  constructor(private readonly options: SharedPortOptions) {}

  readonly receive = (connection: Duplex, arrival: Arrival): void => {
    void this.#pass(connection, arrival);
  };

  async #pass(connection: Duplex, arrival: Arrival): Promise<void> {
    const { home, activation } = this.options;
    if (arrival.certificate !== undefined) return this.#byCertificate(connection, arrival);
    const packet = await peekConnect(connection, this.options.firstPacket);
    const username = packet?.username;
    const isController = username === undefined || isControllerUsername(username) || home.hasController(username);
    (isController ? home : activation).serve(connection, arrival);
  }

  /**
   * TLS trusts both kinds here and does not say by which CA, so that the chain is proved once more: what Node.js shows of it
   * is matched by names. A certificate that is neither's is refused by the home's broker.
   */
  #byCertificate(connection: Duplex, arrival: Arrival): void {
    const { home, activation } = this.options;
    const { certificate } = arrival;
    if (certificate === undefined || certificate.distrust !== undefined) return home.serve(connection, arrival);
    const presented = presentedChain(connection);
    if (isOf(presented, home.authorities())) return home.serve(connection, arrival);
    if (isOf(presented, activation.authorities())) return activation.serve(connection, arrival);
    home.serve(connection, { ...arrival, certificate: { ...certificate, distrust: 'no chain to one kind of CA' } });
  }
}

/** PEM: the client's certificate and what it showed of the chain. */
function presentedChain(connection: Duplex): readonly string[] {
  const found: string[] = [];
  const seen = new Set<string>();
  let next = connection instanceof TLSSocket ? connection.getPeerCertificate(true) : undefined;
  // The last one is its own issuer.
  while (next?.raw !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256);
    found.push(toPem('CERTIFICATE', next.raw));
    next = next.issuerCertificate;
  }
  return found;
}

/** The dates are TLS' business, and the broker's own. */
function isOf([certificate, ...chain]: readonly string[], trustAnchors: readonly string[]): boolean {
  if (certificate === undefined) return false;
  return verifyChain({ certificate, chain, trustAnchors, nowMs: undefined, purpose: 'client' }).valid;
}
