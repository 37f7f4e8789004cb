import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSecretFiles } from '@mqtt2go/config';
import { silentLogger } from '@mqtt2go/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeSecrets } from './secrets.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mqtt2go-secrets-'));
});
afterEach(() => rm(folder, { recursive: true }));

const read = (name: string) => readFile(join(folder, name), 'utf8');
const make = () =>
  makeSecrets(
    loadSecretFiles({
      MQTT2GO_KEY_FILE: join(folder, 'key', 'encryption.key'),
      MQTT2GO_DATABASE_PASSWORD_FILE: join(folder, 'password'),
      DATABASE_URL_FILE: join(folder, 'url'),
    }),
    silentLogger,
  );

describe('making secrets', () => {
  it('makes a key, a password and the URL with it, once', async () => {
    await make();
    const [key, password, url] = await Promise.all([read('key/encryption.key'), read('password'), read('url')]);
    expect(Buffer.from(key, 'base64')).toHaveLength(32);
    expect(url).toBe(`postgres://postgres:${password.trim()}@postgres/mqtt2go\n`);
    expect((await stat(join(folder, 'password'))).mode & 0o007).toBe(0);
    await make();
    expect([await read('key/encryption.key'), await read('password'), await read('url')]).toEqual([key, password, url]);
  });

  it('leaves out what no file is named for', async () => {
    await makeSecrets(loadSecretFiles({}), silentLogger);
  });

  it('refuses a key file with something else', async () => {
    await make();
    await writeFile(join(folder, 'key', 'encryption.key'), 'nothing');
    await expect(make()).rejects.toMatchObject({ code: 'configuration_invalid' });
  });
});
