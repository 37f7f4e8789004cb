import { Mqtt2goError, toMqtt2goError } from '@mqtt2go/protocol';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, HttpStatus } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { problemContentType, problemOf, statusOf } from './problem.js';

/** Makes a problem+json of whatever is thrown on the way to an answer, by us, NestJS or Fastify. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly log: Logger,
    private readonly refused: (error: Mqtt2goError) => void = () => undefined,
    /** The methods that the path of a URL takes; undefined if there is no such path. */
    private readonly methodsOf: (url: string) => readonly string[] | undefined = () => undefined,
  ) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const { error, status, allow } = refusalOf(exception, request, this.methodsOf);
    if (status >= 500) {
      this.log.error({ err: exception, url: request.url }, 'a request could not be answered');
    } else {
      this.log.warn({ code: error.code, status, reason: error.message }, 'a request was refused');
    }
    this.refused(error);
    if (reply.sent || reply.raw.headersSent) return;
    if (allow !== undefined) void reply.header('allow', allow.join(', '));
    void reply
      .code(status)
      .type(problemContentType)
      .send(JSON.stringify(problemOf(error, status)));
  }
}

interface Refusal {
  readonly error: Mqtt2goError;
  readonly status: number;
  readonly allow?: readonly string[];
}

type MethodsOf = (url: string) => readonly string[] | undefined;

function refusalOf(exception: unknown, request: FastifyRequest, methodsOf: MethodsOf): Refusal {
  if (exception instanceof Mqtt2goError) return { error: exception, status: statusOf(exception.code) };
  switch (statusIn(exception)) {
    case HttpStatus.NOT_FOUND:
      return unserved(request, methodsOf);
    case HttpStatus.PAYLOAD_TOO_LARGE:
      return { error: new Mqtt2goError('message_too_large', 'The body is too large.'), status: 413 };
    case HttpStatus.UNSUPPORTED_MEDIA_TYPE:
      return { error: new Mqtt2goError('malformed_message', 'The body has to be application/json.'), status: 415 };
    case HttpStatus.BAD_REQUEST:
      return {
        error: new Mqtt2goError('malformed_message', 'The request is not well-formed JSON or HTTP.'),
        status: 400,
      };
    default: {
      const error = toMqtt2goError(exception);
      return { error, status: statusOf(error.code) };
    }
  }
}

function unserved({ method, url }: FastifyRequest, methodsOf: MethodsOf): Refusal {
  const allow = methodsOf(url);
  if (allow === undefined) {
    return { error: new Mqtt2goError('unknown_command', 'There is nothing at this path.'), status: 404 };
  }
  return { error: new Mqtt2goError('unknown_command', `${method} is not taken at this path.`), status: 405, allow };
}

/** NestJS's exceptions know their status, and so do Fastify's errors. */
function statusIn(exception: unknown): number | undefined {
  if (exception instanceof HttpException) return exception.getStatus();
  if (exception instanceof Error && 'statusCode' in exception && typeof exception.statusCode === 'number') {
    return exception.statusCode;
  }
  return undefined;
}
