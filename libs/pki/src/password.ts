import { pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { PasswordHash } from '@mqtt2go/access';

const derive = promisify(pbkdf2);
const hashBytes = 64;
/** One of the two lengths that Mosquitto takes. */
const saltBytes = 64;
/** Few are enough because the passwords are random tokens, not words that people choose; each sign-in costs them. */
const iterations = 1000;
/** Guards the broker against a stored value that would keep it busy. */
const maximumIterations = 1_000_000;

/** A new password: 160 random bits, base64url, 27 characters. */
export function createPassword(): string {
  return randomBytes(20).toString('base64url');
}

/** Only for random passwords such as {@link createPassword} gives. */
export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(saltBytes);
  const hash = await derive(password, salt, iterations, hashBytes, 'sha512');
  return { algorithm: 'pbkdf2-sha512', iterations, salt: salt.toString('base64'), hash: hash.toString('base64') };
}

/** True if it is the password; takes the same time wherever they differ. False for a hash of impossible form. */
export async function verifyPassword(password: string, stored: PasswordHash): Promise<boolean> {
  const expected = Buffer.from(stored.hash, 'base64');
  if (expected.length !== hashBytes || stored.iterations < 1 || stored.iterations > maximumIterations) return false;
  const given = await derive(password, Buffer.from(stored.salt, 'base64'), stored.iterations, hashBytes, 'sha512');
  return timingSafeEqual(given, expected);
}
