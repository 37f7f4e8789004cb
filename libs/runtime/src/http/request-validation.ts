import { Mqtt2goError } from '@mqtt2go/protocol';
import { StandardSchemaValidationPipe } from '@nestjs/common';

type Issues = Parameters<
  NonNullable<ConstructorParameters<typeof StandardSchemaValidationPipe>[0]>['exceptionFactory'] & {}
>[0];

const mostIssues = 10;

/**
 * Checks bodies, paths and queries by the schemas at the handlers' parameters.
 * @param identifiers the fields that are ids, whose faults are `invalid_identifier` and not `malformed_message`
 */
export function requestValidation(identifiers: readonly string[]): StandardSchemaValidationPipe {
  return new StandardSchemaValidationPipe({ exceptionFactory: (issues) => validationError(issues, identifiers) });
}

function validationError(issues: Issues, identifiers: readonly string[]): Mqtt2goError {
  const named = issues.map((issue) => ({ path: (issue.path ?? []).map(keyOf).join('.'), message: issue.message }));
  const code = named.every(({ path }) => identifiers.includes(path)) ? 'invalid_identifier' : 'malformed_message';
  const lines = named.slice(0, mostIssues).map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
  return new Mqtt2goError(code, lines.join('; '));
}

function keyOf(segment: PropertyKey | { readonly key: PropertyKey }): string {
  return String(typeof segment === 'object' ? segment.key : segment);
}
