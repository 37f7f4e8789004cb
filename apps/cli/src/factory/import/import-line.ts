import { type FactoryRecord, provisioning } from '@mqtt2go/messaging';

/** One line of the file that says something: a record to import, or why it cannot be one. */
export type ImportLine =
  | { readonly line: number; readonly record: FactoryRecord }
  | { readonly line: number; readonly reason: string };

/**
 * Checks what a line says. An empty field is a missing one. A record that tells neither a key mode nor a public
 * key is for `server-key`, the seed's plain form, which is the only mode that needs nothing more.
 */
export function toImportLine(line: number, raw: unknown): ImportLine {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return { line, reason: 'not an object' };
  const given = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== '' && value !== null));
  if (given['key_mode'] === undefined && given['public_key'] === undefined) given['key_mode'] = 'server-key';
  const parsed = provisioning.factoryRecord.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue?.path.join('.') || 'record';
    const missing = given[field] === undefined;
    return { line, reason: missing ? `${field} is missing` : `${field}: ${issue?.message ?? 'not accepted'}` };
  }
  const { key_mode: keyMode, public_key: publicKey } = parsed.data;
  if (keyMode === 'existing-key' && publicKey === undefined) {
    return { line, reason: 'public_key is needed in the key mode existing-key' };
  }
  return { line, record: parsed.data };
}
