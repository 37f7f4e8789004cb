import { deviceType, displayName, gatewayIdentifier, groupIdentifier, identifier } from '@mqtt2go/protocol';
import { InvalidArgumentError } from 'commander';
import type { z } from 'zod';

/** Readers of option values: what they do not accept ends the program with a line that says what is accepted. */
const reader =
  <T>(schema: z.ZodType<T>) =>
  (value: string): T => {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw new InvalidArgumentError(`It ${parsed.error.issues[0]?.message ?? 'is not accepted'}.`);
  };

export const readId = reader(identifier);
export const readGatewayId = reader(gatewayIdentifier);
export const readGroupId = reader(groupIdentifier);
export const readDeviceType = reader(deviceType);
export const readName = reader(displayName);

/** For options that may be given several times. */
export function collectGroups(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), ...value.split(',').map((group) => readGroupId(group.trim()))];
}

/** A whole number within limits. */
export function readInteger(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** Seconds, with a fraction; gives milliseconds. */
export function readSeconds(value: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (seconds > 0 && seconds <= 86_400) return seconds * 1_000;
  throw new InvalidArgumentError('It must be a number of seconds, at most 86400.');
}
