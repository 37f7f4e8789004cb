import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import type { GatewayCaller, LinkContract } from '../link/contract.js';

type Handler = (caller: GatewayCaller, request: unknown) => Promise<unknown>;

/** What gateways may ask at the door. A verb that nobody has registered is refused. */
@Injectable()
export class DoorVerbs {
  private readonly handlers = new Map<string, Handler>();

  /** Registers the answer to a contract; while providers are made, before the door opens. */
  on<I extends z.ZodType, O extends z.ZodType>(
    contract: LinkContract<I, O>,
    handler: (caller: GatewayCaller, request: z.output<I>) => Promise<z.input<O>>,
  ): void {
    const { verb, input, output } = contract;
    if (this.handlers.has(verb)) throw new Error(`the verb ${verb} is registered twice`);
    this.handlers.set(verb, async (caller, body) => {
      const request = input.safeParse(body);
      if (!request.success) throw new Mqtt2goError('malformed_message', `${verb}: ${z.prettifyError(request.error)}`);
      requireOwn(caller, request.data);
      return output.parse(await handler(caller, request.data));
    });
  }

  /**
   * @throws Mqtt2goError `unknown_command`, `malformed_message`, `forbidden` for another home's or gateway's id in the
   * request, and what the handler refuses with
   */
  async answer(verb: string, caller: GatewayCaller, body: unknown): Promise<unknown> {
    const handler = this.handlers.get(verb);
    if (handler === undefined) throw new Mqtt2goError('unknown_command', `The door has no verb ${verb.slice(0, 64)}.`);
    return handler(caller, body);
  }
}

function requireOwn(caller: GatewayCaller, request: unknown): void {
  if (typeof request !== 'object' || request === null) return;
  const isOthers =
    ('homeId' in request && request.homeId !== caller.homeId) ||
    ('gatewayId' in request && request.gatewayId !== caller.gatewayId);
  if (isOthers) throw new Mqtt2goError('forbidden', 'A gateway may ask for its own home only.');
}
