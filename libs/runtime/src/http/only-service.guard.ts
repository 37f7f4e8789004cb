import { TLSSocket } from 'node:tls';
import { isTrustedClient } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { CanActivate, ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/**
 * Lets one service, or the operator, in by its service certificate. Whoever has no certificate of the services' CA was
 * turned away before (`refuseUntrustedClients`); here the other services are.
 */
export class OnlyService implements CanActivate {
  /** A connection keeps its certificate, and reading one costs more than a small request. */
  private readonly names = new WeakMap<TLSSocket, unknown>();

  constructor(private readonly caller: string) {}

  /** @throws Mqtt2goError `forbidden` */
  canActivate(context: ExecutionContext): boolean {
    const { socket } = context.switchToHttp().getRequest<FastifyRequest>().raw;
    if (socket instanceof TLSSocket && isTrustedClient(socket) && this.nameOf(socket) === this.caller) return true;
    throw new Mqtt2goError('forbidden', `Only ${this.caller} may do this.`);
  }

  /** With several common names in a subject Node gives an array, which is nobody. */
  private nameOf(socket: TLSSocket): unknown {
    if (!this.names.has(socket)) this.names.set(socket, socket.getPeerCertificate().subject?.CN);
    return this.names.get(socket);
  }
}
