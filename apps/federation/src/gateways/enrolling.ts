import { createHash } from 'node:crypto';
import { Bus, certificateAuthority } from '@mqtt2go/messaging';
import { publicKeyHash, readCertificateRequest } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import type { z } from 'zod';
import type { GatewayCaller } from '../link/contract.js';
import type { enrol } from '../link/verbs.js';
import { Gateways } from './gateways.js';

type Requests = z.output<typeof certificateAuthority.gatewayRequests>;
type Certificates = z.output<typeof certificateAuthority.gatewayCertificates>;

/** Gives gateways their CAs and their certificate. */
@Injectable()
export class Enrolling {
  constructor(
    private readonly gateways: Gateways,
    private readonly bus: Bus,
  ) {}

  /**
   * By an invitation. What is signed and then not stored, because the process was killed, is signed once more; nobody has
   * got it. The errors are those of the contract.
   */
  async enrol({ token, requests, ...caller }: z.output<typeof enrol.input>): Promise<Certificates> {
    const requestHash = await hashOf(requests);
    const early = await this.gateways.open(caller, token, requestHash);
    if (early.answer !== undefined) return early.answer;
    const answer = await this.sign(caller, requests);
    try {
      await this.gateways.enrolled(caller, token, requestHash, answer);
      return answer;
    } catch (error) {
      if (!(error instanceof Mqtt2goError) || error.code !== 'invitation_invalid') throw error;
      // The same request, answered by another process meanwhile.
      const late = await this.gateways.open(caller, token, requestHash);
      if (late.answer === undefined) throw error;
      return late.answer;
    }
  }

  /** For a gateway that is known by its certificate. */
  async renew(caller: GatewayCaller, requests: Requests): Promise<Certificates> {
    const answer = await this.sign(caller, requests);
    await this.gateways.renewed(caller, answer);
    return answer;
  }

  private sign(caller: GatewayCaller, requests: Requests): Promise<Certificates> {
    return this.bus.call(certificateAuthority.signGateway, { ...caller, requests });
  }
}

/** Tells by its keys whether a request is the same: each request is signed anew. */
async function hashOf({ issuing, server, identity }: Requests): Promise<Buffer> {
  const keys = await Promise.all([issuing, server, identity].map(readCertificateRequest));
  const hash = createHash('sha256');
  for (const { publicKey } of keys) hash.update(publicKeyHash(publicKey));
  return hash.digest();
}
