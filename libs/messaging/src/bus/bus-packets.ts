import { isErrorCode, Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';

/** What a caller sends: NestJS's packet with this project's message as its data. */
export const busRequest = z.object({
  id: z.string().min(1).max(64),
  data: z.object({
    onboardingId: z.string().max(64).optional(),
    caller: z.string().max(64).optional(),
    traceparent: z.string().max(64).optional(),
    body: z.unknown(),
  }),
});

/** What a server answers: NestJS's packet; an error travels as its code and message and nothing else. */
export const busReply = z.object({
  id: z.string().min(1).max(64),
  response: z.unknown().optional(),
  err: z.object({ code: z.string(), message: z.string() }).optional(),
  isDisposed: z.boolean().optional(),
});
export type BusReply = z.infer<typeof busReply>;

export interface BusError {
  readonly code: string;
  readonly message: string;
}

/** The error again, as the answering service threw it. */
export function reviveError({ code, message }: BusError): Mqtt2goError {
  return isErrorCode(code) ? new Mqtt2goError(code, message) : new Mqtt2goError('internal', message);
}

/** The JSON in `bytes`, or undefined when there is none. */
export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Where the answers to a request topic go. */
export function replyTopic(pattern: string): string {
  return `${pattern}/reply`;
}
