import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadDeploymentConfig, loadSecretFiles, smallBrokersFile } from './deployment-config.js';
import { loadServiceConfig } from './load-config.js';

const key = Buffer.alloc(32, 7).toString('base64');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mqtt2go-config-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('a database URL in a file', () => {
  it('counts as the variable, not beside it', async () => {
    const file = join(folder, 'url');
    await writeFile(file, 'postgres://me:secret@db/x\n');
    expect(loadServiceConfig({ DATABASE_URL_FILE: file }).databaseUrl).toBe('postgres://me:secret@db/x');
    expect(() => loadServiceConfig({ DATABASE_URL_FILE: file, DATABASE_URL: 'postgres://db/x' })).toThrow(
      'DATABASE_URL and DATABASE_URL_FILE are both set; set one of them',
    );
    expect(() => loadServiceConfig({ DATABASE_URL_FILE: join(folder, 'missing') })).toThrow('cannot be read: ENOENT');
  });
});

describe('the configuration of a deployment', () => {
  const env = { DATABASE_URL: 'postgres://db/x', MQTT2GO_KEY: key };

  it('has the folder that the files go to', () => {
    expect(loadDeploymentConfig(env).deploymentDir).toBe(resolve('deployment'));
    expect(loadDeploymentConfig({ ...env, MQTT2GO_DEPLOYMENT_DIR: folder })).toMatchObject({
      deploymentDir: folder,
      encryptionKey: new Uint8Array(32).fill(7),
    });
  });

  it('needs the encryption key', () => {
    expect(() => loadDeploymentConfig({ DATABASE_URL: 'postgres://db/x' })).toThrow(
      'neither MQTT2GO_KEY nor MQTT2GO_KEY_FILE is set',
    );
  });
});

describe('the files of secrets', () => {
  it('come with the URL that the password makes', () => {
    const { keyFile, databaseUrl } = loadSecretFiles({ MQTT2GO_KEY_FILE: '/k', MQTT2GO_DATABASE_HOST: 'db:5433' });
    expect(keyFile).toBe('/k');
    expect(databaseUrl('a/b')).toBe('postgres://postgres:a%2Fb@db:5433/mqtt2go');
  });
});

describe('a brokers file by variables', () => {
  it('is one that services read', async () => {
    const file = join(folder, 'brokers.json');
    const env = { MQTT2GO_BROKERS: file, MQTT2GO_PUBLIC_HOST: '2001:db8::1', MQTT2GO_HOME_PORT: '18883' };
    await writeFile(file, smallBrokersFile(env).content);
    const { brokers } = loadServiceConfig({ ...env, DATABASE_URL: 'postgres://db/x' });
    expect(brokers.bus).toEqual({ kind: 'mosquitto', urls: ['mqtts://bus:8886'] });
    expect(brokers.home[0]).toMatchObject({
      name: 'home-0',
      host: '2001:db8::1',
      port: 18_883,
      controllerUrl: 'mqtts://[2001:db8::1]:8889',
      accessDir: '/access/home-0',
      gateways: true,
    });
  });
});
