import { refuseUntrustedClients } from '@mqtt2go/pki';
import type { Mqtt2goError } from '@mqtt2go/protocol';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import type { HttpOptions } from '../start-nest-service.js';
import { earlyProblems } from './early-problems.js';
import { type ApiDescription, openApiDocument } from './openapi.js';
import { ProblemFilter } from './problem-filter.js';
import { requestValidation } from './request-validation.js';
import { methodsOf, openApiPath, type ServedPaths } from './served-paths.js';

/** From the first byte of a request to the last. */
const requestTimeoutMs = 10_000;

export interface RestListener {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** PEM: the services' CA, whose certificates callers come with. */
  readonly ca: string;
  /** PEM: certificate and chain of the server. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface RestApi extends ApiDescription {
  readonly served: ServedPaths;
  /** Fields of bodies, paths and queries that are ids. */
  readonly identifiers: readonly string[];
  /** Larger bodies are refused. */
  readonly bodyLimitBytes: number;
  /** Told of each refusal. */
  readonly refused?: (app: NestFastifyApplication, error: Mqtt2goError) => void;
}

/**
 * A REST side for holders of service certificates: mutual TLS, problems, checked requests, its description at
 * {@link openApiPath}. Who of them may do what is the controllers' business (`OnlyService`).
 * @param platform `now`: Unix time in milliseconds, by which certificates are judged
 */
export function serviceRest(
  { host, port, ca, cert, key }: RestListener,
  api: RestApi,
  { now, log }: { readonly now: () => number; readonly log: Logger },
): HttpOptions {
  const { served, identifiers, bodyLimitBytes, refused } = api;
  return {
    host,
    port,
    bodyLimitBytes,
    https: {
      ca,
      cert,
      key,
      requestCert: true,
      // By refuseUntrustedClients, which does not go by the system's clock.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      requestTimeout: requestTimeoutMs,
    },
    errors: earlyProblems,
    configure: (app) => {
      refuseUntrustedClients(app.getHttpServer(), () => ({ trustAnchors: [ca], nowMs: now() }));
      app.useGlobalPipes(requestValidation(identifiers));
      app.useGlobalFilters(
        new ProblemFilter(
          log,
          (error) => refused?.(app, error),
          (url) => methodsOf(served, url),
        ),
      );
      let document: Promise<object> | undefined;
      app
        .getHttpAdapter()
        .getInstance()
        .get(openApiPath, () => (document ??= openApiDocument(app, api)));
    },
  };
}
