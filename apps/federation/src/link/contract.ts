import type { z } from 'zod';

/**
 * One request that the cloud answers to its gateways: `POST /v1/<verb>` at the gateways' door. All of them are
 * idempotent: a gateway that got no answer asks again with the same request and gets the same outcome.
 *
 * A request that has a `homeId` or `gatewayId` is refused unless they are those of the gateway that asks.
 */
export interface LinkContract<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  /** Lower-case words with `-` between them. */
  readonly verb: string;
  readonly input: I;
  readonly output: O;
}

export function linkContract<I extends z.ZodType, O extends z.ZodType>(
  definition: LinkContract<I, O>,
): LinkContract<I, O> {
  return Object.freeze({ ...definition });
}

/** Which gateway asks, as its certificate says. */
export interface GatewayCaller {
  readonly homeId: string;
  readonly gatewayId: string;
}
