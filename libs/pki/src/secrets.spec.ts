import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createEncryptionKey,
  createPassword,
  hashPassword,
  joinDeviceBundle,
  readOrCreateKeyFile,
  SecretBox,
  splitDeviceBundle,
  toPem,
  verifyPassword,
  writeFileAtomically,
} from './index.js';

const refusal = (code: string) => expect.objectContaining({ code });

describe('SecretBox', () => {
  const box = new SecretBox(createEncryptionKey());
  const secret = new TextEncoder().encode('a private key');

  it('gives back what it sealed, and never seals alike twice', () => {
    const sealed = box.seal('root', secret);
    expect(box.open('root', sealed)).toEqual(secret);
    expect(box.openText('root', sealed)).toBe('a private key');
    expect(box.seal('root', secret)).not.toEqual(sealed);
    expect(Buffer.from(sealed).includes(Buffer.from(secret))).toBe(false);
  });

  it('does not open under another name, with another key, or after a change', () => {
    const sealed = box.seal('root', secret);
    expect(() => box.open('issuing', sealed)).toThrow(refusal('configuration_invalid'));
    expect(() => new SecretBox(createEncryptionKey()).open('root', sealed)).toThrow(refusal('configuration_invalid'));
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => box.open('root', changed)).toThrow(refusal('configuration_invalid'));
    }
    expect(() => box.open('root', sealed.subarray(0, 20))).toThrow(refusal('configuration_invalid'));
  });

  it('takes nothing but 32 bytes in base64 as its key, and does not tell the key', () => {
    for (const key of ['', 'secret', Buffer.alloc(31).toString('base64'), Buffer.alloc(33).toString('base64')]) {
      expect(() => new SecretBox(key)).toThrow(refusal('configuration_invalid'));
    }
    expect(() => new SecretBox('swordfish')).toThrow(/^(?!.*swordfish)/);
  });
});

describe('password hashes', () => {
  it('know their password and no other', async () => {
    const password = createPassword();
    expect(password).toMatch(/^[A-Za-z0-9_-]{27}$/);
    const hash = await hashPassword(password);
    expect(hash).toMatchObject({ algorithm: 'pbkdf2-sha512' });
    expect(Buffer.from(hash.hash, 'base64')).toHaveLength(64);
    expect(await verifyPassword(password, hash)).toBe(true);
    expect(await verifyPassword(`${password}x`, hash)).toBe(false);
    expect(await verifyPassword(password, { ...hash, hash: '' })).toBe(false);
    expect(await verifyPassword(password, { ...hash, iterations: 1e9 })).toBe(false);
    expect((await hashPassword(password)).hash).not.toBe(hash.hash);
  });
});

describe('files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-pki-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('hold one key for all who start at once, readable by the owner only', async () => {
    const path = join(folder, 'secrets', 'encryption.key');
    const keys = await Promise.all(Array.from({ length: 8 }, () => readOrCreateKeyFile(path)));
    expect(new Set(keys).size).toBe(1);
    expect(Buffer.from(keys[0] ?? '', 'base64')).toHaveLength(32);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, 'secrets'))).toEqual(['encryption.key']);
    expect(await readOrCreateKeyFile(path)).toBe(keys[0]);
  });

  it('are refused as keys when they hold something else', async () => {
    const path = join(folder, 'encryption.key');
    await writeFile(path, 'hello\n');
    await expect(readOrCreateKeyFile(path)).rejects.toEqual(refusal('configuration_invalid'));
  });

  it('are replaced as a whole', async () => {
    const path = join(folder, 'a.crt');
    await writeFileAtomically(path, 'one', 0o644);
    await writeFileAtomically(path, 'two', 0o600);
    expect(await readFile(path, 'utf8')).toBe('two');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['a.crt']);
  });
});

describe('a device bundle', () => {
  const certificate = toPem('CERTIFICATE', new Uint8Array([1]));
  const issuer = toPem('CERTIFICATE', new Uint8Array([2]));
  const privateKey = toPem('PRIVATE KEY', new Uint8Array([3]));

  it('is taken apart as it was put together, with and without a key', () => {
    for (const bundle of [
      { certificate, chain: [issuer], privateKey },
      { certificate, chain: [] },
    ]) {
      expect(splitDeviceBundle(joinDeviceBundle(bundle))).toEqual(bundle);
    }
  });

  it.each(['\r\n', ' \n', ' \r\n'])('may come with lines that end in %j', (end) => {
    const text = joinDeviceBundle({ certificate, chain: [issuer] }).replaceAll('\n', end);
    expect(splitDeviceBundle(text)).toEqual({ certificate, chain: [issuer] });
  });

  it('is refused without a certificate, with two keys, or with something else in it', () => {
    for (const text of [
      '',
      privateKey,
      certificate + privateKey + privateKey,
      certificate + toPem('X509 CRL', new Uint8Array(3)),
      certificate + issuer.replace('Ag==', 'A*=='),
      certificate + issuer.replace('Ag==', 'A'),
      certificate + issuer.slice(0, -30),
      '-----BEGIN A'.repeat(100_000),
      ' '.repeat(1_000_000),
    ]) {
      expect(() => splitDeviceBundle(text)).toThrow(refusal('malformed_message'));
    }
  });
});
