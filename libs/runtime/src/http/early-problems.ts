import { STATUS_CODES } from 'node:http';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { FastifyServerOptions } from 'fastify';
import { problemContentType, problemOf } from './problem.js';

/** Of Node's HTTP parser and server. */
const statuses: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** The problem+json of what fails before there is a route: a path that is no URL, bytes that are no HTTP. */
export const earlyProblems: Pick<FastifyServerOptions, 'frameworkErrors' | 'clientErrorHandler'> = {
  frameworkErrors(_error, _request, reply) {
    const error = new Mqtt2goError('malformed_message', 'The path is not a URL.');
    reply.raw.writeHead(400, { 'content-type': problemContentType }).end(JSON.stringify(problemOf(error)));
  },
  clientErrorHandler(error, socket) {
    // The other side may have hung up, or never got through the handshake.
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const status = statuses[error.code] ?? 400;
    const body = JSON.stringify(problemOf(new Mqtt2goError('malformed_message', 'This is not HTTP.'), status));
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${problemContentType}\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  },
};
