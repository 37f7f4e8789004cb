import { readFileSync } from 'node:fs';
import { type Environment, invalidSettings } from './settings.js';

/**
 * The environment with `DATABASE_URL` from the file that `DATABASE_URL_FILE` names, if it does: a URL with a password
 * is then in nobody's environment.
 * @throws Mqtt2goError `configuration_invalid`
 */
export function withDatabaseUrl(env: Environment): Environment {
  const { DATABASE_URL_FILE: file = '', DATABASE_URL: url = '' } = env;
  if (file === '') return env;
  if (url !== '') throw invalidSettings(['DATABASE_URL and DATABASE_URL_FILE are both set; set one of them']);
  try {
    return { ...env, DATABASE_URL: readFileSync(file, 'utf8').trim() };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidSettings([`DATABASE_URL_FILE names ${file}, which cannot be read: ${reason}`]);
  }
}
