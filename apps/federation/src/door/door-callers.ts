import { TLSSocket } from 'node:tls';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import type { Socket } from 'node:net';
import { Gateways } from '../gateways/gateways.js';
import type { GatewayCaller } from '../link/contract.js';

/**
 * Says which gateway stands at the door. TLS has checked the certificate's chain and dates; that alone is not enough, since
 * a gateway's own CA stands below the same root: the certificate has to be one that was issued to a gateway here.
 */
@Injectable()
export class DoorCallers {
  /** A connection keeps its certificate. */
  private readonly fingerprints = new WeakMap<TLSSocket, string>();

  constructor(private readonly gateways: Gateways) {}

  /** @throws Mqtt2goError `forbidden`; of a revoked gateway, too */
  async require(socket: Socket): Promise<GatewayCaller> {
    if (!(socket instanceof TLSSocket) || !socket.authorized) {
      throw new Mqtt2goError('forbidden', 'The door is for gateways, by their certificates.');
    }
    const caller = await this.gateways.findByCertificate(this.fingerprintOf(socket));
    if (caller === undefined) throw new Mqtt2goError('forbidden', 'The certificate is of no enrolled gateway.');
    return caller;
  }

  private fingerprintOf(socket: TLSSocket): string {
    const known = this.fingerprints.get(socket);
    if (known !== undefined) return known;
    const fingerprint = (socket.getPeerCertificate().fingerprint256 ?? '').replaceAll(':', '').toLowerCase();
    this.fingerprints.set(socket, fingerprint);
    return fingerprint;
  }
}
