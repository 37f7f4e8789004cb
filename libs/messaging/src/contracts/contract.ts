import type { ServiceName } from '@mqtt2go/access';
import type { z } from 'zod';

/**
 * One request that a service answers on the bus: `mqtt2go/<service>/<verb>`. All of them are
 * idempotent: a caller that got no answer asks again with the same input and gets the same outcome.
 */
export interface Contract<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  readonly service: ServiceName;
  readonly verb: string;
  /** The topic on the bus. */
  readonly pattern: `mqtt2go/${string}/${string}`;
  readonly input: I;
  readonly output: O;
  /** Who may call it; the bus's access follows from this. */
  readonly callers: readonly ServiceName[];
}

/** What travels: the input, and what it belongs to, for logs, traces and the audit log of the service that answers. */
export interface BusMessage {
  readonly onboardingId?: string | undefined;
  /** Who asks, by its own account; that a service may ask at all is the broker's to say. */
  readonly caller?: string | undefined;
  /** W3C `traceparent`. */
  readonly traceparent?: string | undefined;
  readonly body: unknown;
}

export function contract<I extends z.ZodType, O extends z.ZodType>(definition: {
  service: ServiceName;
  verb: string;
  input: I;
  output: O;
  callers: readonly ServiceName[];
}): Contract<I, O> {
  return Object.freeze({ ...definition, pattern: `mqtt2go/${definition.service}/${definition.verb}` as const });
}
