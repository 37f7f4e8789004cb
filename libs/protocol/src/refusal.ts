import type { z } from 'zod';
import { Mqtt2goError } from './errors.js';
import { deviceTypeRule, identifierRule, reservedWordRule } from './identifiers.js';

type Issue = z.core.$ZodIssue;

const identifierRules: ReadonlySet<string> = new Set([identifierRule, reservedWordRule, deviceTypeRule]);

/**
 * What a schema found, as the error that goes over the wire: `invalid_identifier` if nothing but ids is
 * wrong, else `malformed_message`. The detail names the first place; it never repeats what was sent.
 */
export function toRefusal(error: z.ZodError): Mqtt2goError {
  const issues = error.issues.flatMap(flatten);
  const code = issues.length > 0 && issues.every(isOfIdentifier) ? 'invalid_identifier' : 'malformed_message';
  const [first] = issues;
  const place = first?.path.map(String).join('.').slice(0, 100);
  const detail = first === undefined ? undefined : `${place ? `${place}: ` : ''}${first.message.slice(0, 200)}`;
  return new Mqtt2goError(code, detail, { cause: error });
}

function isOfIdentifier(issue: Issue): boolean {
  return identifierRules.has(issue.message);
}

/** The issues within a union's issue; of several branches the one that came furthest, which has the fewest. */
function flatten(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
  const branches = issue.errors.map((branch) => branch.flatMap(flatten));
  const relevant = branches.find((branch) => branch.every(isOfIdentifier)) ?? branches[0] ?? [];
  return relevant.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
}
