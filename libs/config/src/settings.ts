import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';

/** The environment, or anything like it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A TCP port; 0 lets the system choose (tests). */
export function port(defaultPort: number) {
  return z
    .string()
    .regex(/^\d{1,5}$/)
    .transform(Number)
    .refine((value) => value <= 65_535)
    .default(defaultPort)
    .describe('a port number from 0 to 65535');
}

export function text(expectation: string) {
  return z.string().min(1).describe(expectation);
}

/** A URL with one of `protocols`. */
export function url(...protocols: readonly string[]) {
  return z
    .string()
    .refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol.slice(0, -1)))
    .describe(`a URL that begins with ${protocols.map((protocol) => `${protocol}://`).join(' or ')}`);
}

/** Names separated by commas. */
export function list(expectation: string) {
  return z
    .string()
    .transform((value) => value.split(',').map((name) => name.trim()))
    .refine((names) => names.every((name) => name !== ''))
    .describe(expectation);
}

const secretNames = /KEY|PASSWORD|SECRET|DATABASE_URL/;

/**
 * Reads the variables that `shape` names. A variable that is set to nothing counts as not set.
 * @throws Mqtt2goError `configuration_invalid`: a line per wrong variable: its name, what it is, what it takes
 */
export function readSettings<S extends z.ZodRawShape>(shape: S, env: Environment): z.output<z.ZodObject<S>> {
  const given = Object.fromEntries(Object.keys(shape).map((name) => [name, env[name] === '' ? undefined : env[name]]));
  const parsed = z.object(shape).safeParse(given);
  if (parsed.success) {
    return parsed.data;
  }
  const names = [...new Set(parsed.error.issues.map((issue) => String(issue.path[0])))];
  throw invalidSettings(
    names.map((name) => {
      return wrongSetting(name, given[name], expectationOf(z.object(shape).shape[name]));
    }),
  );
}

/** The description of a schema, or of the one that it makes optional. */
function expectationOf(schema: unknown): string {
  if (schema instanceof z.ZodType && schema.description !== undefined) {
    return schema.description;
  }
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return expectationOf(schema.unwrap());
  }
  return 'another value';
}

/** One line: the variable, what it is, what it takes. Secrets are not repeated. */
export function wrongSetting(name: string, value: string | undefined, expectation: string): string {
  const got = value === undefined ? 'is not set' : secretNames.test(name) ? 'has a wrong value' : `is '${value}'`;
  return `${name} ${got}; it takes ${expectation}`;
}

export function invalidSettings(lines: readonly string[]): Mqtt2goError {
  return new Mqtt2goError('configuration_invalid', lines.join('\n'));
}
