import { Mqtt2goError, toMqtt2goError } from '@mqtt2go/protocol';
import { type ArgumentsHost, Catch, type PipeTransform, type RpcExceptionFilter, UseFilters } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { type Observable, throwError } from 'rxjs';
import { z } from 'zod';
import type { Contract } from '../contracts/contract.js';
import type { BusContext } from './bus-context.js';
import type { BusError } from './bus-packets.js';
import { BUS } from './transport-ids.js';

/**
 * Makes a controller method the answer to a contract. The input is checked against it before; a
 * Mqtt2goError goes back by its code, anything else as `internal` and into the log.
 */
export function Answers<I extends z.ZodType, O extends z.ZodType>(contract: Contract<I, O>) {
  return <T extends (input: z.output<I>, context: BusContext) => Promise<z.input<O>> | z.input<O>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<T>,
  ): void => {
    Payload(new ContractPipe(contract))(target, key, 0);
    Ctx()(target, key, 1);
    UseFilters(BusErrorFilter)(target, key, descriptor);
    MessagePattern(contract.pattern, BUS)(target, key, descriptor);
  };
}

class ContractPipe<I extends z.ZodType> implements PipeTransform<unknown, z.output<I>> {
  constructor(private readonly contract: Contract<I>) {}

  transform(value: unknown): z.output<I> {
    const parsed = this.contract.input.safeParse(value);
    if (!parsed.success) {
      throw new Mqtt2goError('malformed_message', `${this.contract.pattern}: ${z.prettifyError(parsed.error)}`);
    }
    return parsed.data;
  }
}

@Catch()
class BusErrorFilter implements RpcExceptionFilter {
  catch(exception: unknown, host: ArgumentsHost): Observable<never> {
    const error = toMqtt2goError(exception);
    if (error !== exception) {
      const context = host.switchToRpc().getContext<BusContext>();
      context.log.error({ err: exception, topic: context.getTopic() }, 'a bus request failed');
    }
    return throwError((): BusError => ({ code: error.code, message: error.message }));
  }
}
