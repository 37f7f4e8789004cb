import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** The header of W3C Trace Context, if the caller sent one. No part of the API's description. */
export const Traceparent = createParamDecorator((_data: unknown, context: ExecutionContext): string | undefined => {
  const { traceparent } = context.switchToHttp().getRequest<FastifyRequest>().headers;
  return typeof traceparent === 'string' ? traceparent : undefined;
});
