import { TLSSocket } from 'node:tls';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** The one service that announces devices. */
const caller = 'provisioning';

/**
 * Lets provisioning in by its service certificate. TLS has turned away whoever has no certificate of the
 * services' CA; here the other services are.
 */
@Injectable()
export class ProvisioningOnly implements CanActivate {
  /** @throws Mqtt2goError `forbidden` */
  canActivate(context: ExecutionContext): boolean {
    const { socket } = context.switchToHttp().getRequest<FastifyRequest>().raw;
    // With several common names in a subject Node gives an array, which is nobody.
    if (socket instanceof TLSSocket && socket.authorized && socket.getPeerCertificate().subject?.CN === caller) {
      return true;
    }
    throw new Mqtt2goError('forbidden', `Only the service ${caller} may do this.`);
  }
}
