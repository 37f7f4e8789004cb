import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createTestCertificates, silentLogger } from '@mqtt2go/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inClusterAddress, KubernetesApi } from './kubernetes-api.js';
import { deploymentFolders, keepEncryptionKey, KubernetesSecrets, secretNameOf } from './kubernetes-secrets.js';
import { FakeKubernetes } from './test-support/fake-kubernetes.js';
import { withKubernetesSecrets } from './with-kubernetes-secrets.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');

let cluster: FakeKubernetes;
let api: KubernetesApi;
let root: string;

beforeEach(async () => {
  cluster = await FakeKubernetes.start();
  api = cluster.open();
  root = await mkdtemp(join(tmpdir(), 'mqtt2go-deployment-'));
});
afterEach(async () => {
  api.close();
  await cluster.close();
  await rm(root, { recursive: true });
});

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}

describe('a Secret', () => {
  const secrets = () => new KubernetesSecrets(api, { owner: 'tests' });

  it('is created, replaced, or left as it is', async () => {
    expect(await secrets().write('one', { a: base64('1') })).toBe('created');
    expect(cluster.secrets.get('one')?.metadata.labels).toEqual({ owner: 'tests' });
    expect(await secrets().write('one', { a: base64('1') })).toBe('unchanged');
    expect(await secrets().write('one', { b: base64('2') })).toBe('replaced');
    expect(cluster.textsOf('one')).toEqual({ b: '2' });
    expect(cluster.requests.filter((line) => !line.startsWith('GET'))).toEqual([
      'POST /api/v1/namespaces/homes/secrets',
      'PUT /api/v1/namespaces/homes/secrets/one',
    ]);
  });

  it('keeps the labels and annotations that others gave it', async () => {
    const metadata = { labels: { by: 'somebody' }, annotations: { note: 'keep' } };
    cluster.put('one', {}, metadata);
    await secrets().write('one', { a: base64('1') });
    expect(cluster.secrets.get('one')?.metadata).toMatchObject(metadata);
  });

  it('is read again when somebody else was faster', async () => {
    cluster.put('one', { a: base64('1') });
    let changes = 0;
    cluster.beforeChange = () => {
      changes += 1;
      if (changes === 1) cluster.put('one', { a: base64('theirs') });
    };
    expect(await secrets().ensure('one', 'b', () => base64('ours'))).toBe(base64('ours'));
    expect(cluster.textsOf('one')).toEqual({ a: 'theirs', b: 'ours' });
  });

  it('has one value when two make it at once', async () => {
    const made = await Promise.all(['x', 'y', 'z'].map((value) => secrets().ensure('one', 'key', () => base64(value))));
    expect(new Set(made).size).toBe(1);
    expect(cluster.secrets.get('one')?.data).toEqual({ key: made[0] });
  });

  it('waits for an API server that is too busy or has a problem', async () => {
    cluster.failures.push(429, 503, 500);
    expect(await secrets().write('one', {})).toBe('created');
  });

  it('is given up when the API server stays away, and says why', async () => {
    await cluster.close();
    const impatient = new KubernetesApi(cluster.address, { pauseMs: 1, giveUpAfterMs: 20 });
    await expect(new KubernetesSecrets(impatient).read('one')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^the Kubernetes API at https:.* cannot be used: .*ECONNREFUSED/),
    });
    cluster = await FakeKubernetes.start();
  });

  it('names what the role does not allow', async () => {
    cluster.allowed = new Set(['one']);
    await expect(secrets().write('two', {})).rejects.toThrow(
      'the Secret two cannot be read: 403: secrets "two" is forbidden',
    );
  });

  it('is told to no server of another CA, nor asked for without the right token', async () => {
    const { ca } = await createTestCertificates();
    const deceived = new KubernetesApi({ ...cluster.address, ca }, { pauseMs: 1, giveUpAfterMs: 1 });
    await expect(new KubernetesSecrets(deceived).read('one')).rejects.toThrow(/certificate/);
    expect(cluster.requests).toEqual([]);
    const stranger = new KubernetesApi({ ...cluster.address, token: 'another' });
    await expect(new KubernetesSecrets(stranger).read('one')).rejects.toThrow('401: Unauthorized');
    stranger.close();
  });
});

describe('the key-encryption key', () => {
  it('is made once and kept', async () => {
    const key = await keepEncryptionKey(new KubernetesSecrets(api), 'the-key');
    expect(Buffer.from(key, 'base64')).toHaveLength(32);
    expect(await keepEncryptionKey(new KubernetesSecrets(api), 'the-key')).toBe(key);
    expect(cluster.textsOf('the-key')).toEqual({ key });
  });

  it('is not replaced when what is there is no key', async () => {
    cluster.put('the-key', { key: base64('short') });
    await expect(keepEncryptionKey(new KubernetesSecrets(api), 'the-key')).rejects.toMatchObject({
      code: 'configuration_invalid',
      message: "'key' in the Secret the-key does not hold 32 bytes in base64",
    });
    expect(cluster.textsOf('the-key')).toEqual({ key: 'short' });
  });
});

describe('a deployment in a cluster', () => {
  const folders = deploymentFolders(['discovery'], ['home-0']);
  const deploy = (initialise: (env: object) => Promise<void>, env = {}) =>
    withKubernetesSecrets(
      {
        env: { MQTT2GO_KUBERNETES_SECRETS: 'm', MQTT2GO_KUBERNETES_KEY_SECRET: 'm-key', ...env },
        root,
        folders,
        log: silentLogger,
        openApi: async () => cluster.open(),
      },
      initialise,
    );
  const initialise = async () => {
    await put('services/discovery/ca.crt', 'the CA');
    await put('services/discovery/services/discovery.key', 'a key');
    await put('brokers/home-0/mosquitto.conf', 'per_listener_settings true');
    await put('brokers/home-0/access/dynamic-security.json', '{}');
    await put('operator/services/operator.key', 'the key of the operator');
  };

  it('has a Secret for each folder, which holds nothing of another', async () => {
    await deploy(initialise);
    expect(cluster.textsOf('m-service-discovery')).toEqual({
      'ca.crt': 'the CA',
      'services__discovery.key': 'a key',
    });
    // The access is as large as the homes are many, and changes every minute.
    expect(cluster.textsOf('m-broker-home-0')).toEqual({ 'mosquitto.conf': 'per_listener_settings true' });
    expect(cluster.textsOf('m-operator')).toEqual({ 'services__operator.key': 'the key of the operator' });
    expect([...cluster.secrets.keys()].toSorted((a, b) => a.localeCompare(b))).toEqual([
      'm-broker-home-0',
      'm-key',
      'm-operator',
      'm-service-discovery',
    ]);
  });

  it('gives the key to the program that makes the certificates, and the same one the next time', async () => {
    const keys: unknown[] = [];
    const remember = async (env: object) => {
      keys.push('MQTT2GO_KEY' in env ? env.MQTT2GO_KEY : undefined);
      await initialise();
    };
    await deploy(remember);
    await deploy(remember);
    expect(keys[0]).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    expect(keys[1]).toBe(keys[0]);
    expect(cluster.secrets.get('m-key')?.metadata.labels).not.toHaveProperty('mqtt2go.io/deployment');
    await deploy(remember, { MQTT2GO_KUBERNETES_KEY_SECRET: '' });
    expect(keys[2]).toBeUndefined();
  });

  it('finds in an empty folder what was made before, and changes nothing that is good', async () => {
    await deploy(initialise);
    const before = new Map(cluster.secrets);
    await rm(root, { recursive: true });
    let found = '';
    await deploy(async () => {
      found = await readFile(join(root, 'services/discovery/services/discovery.key'), 'utf8');
      expect((await stat(join(root, 'services/discovery/services/discovery.key'))).mode & 0o777).toBe(0o600);
    });
    expect(found).toBe('a key');
    expect(cluster.secrets).toEqual(before);
  });

  it('writes no file outside of its folder, whatever the names of entries', async () => {
    cluster.put('m-service-discovery', { '..__..__escaped': base64('x'), __absolute: base64('x') });
    await deploy(initialise);
    await expect(stat(join(root, 'escaped'))).rejects.toThrow('ENOENT');
    expect(Object.keys(cluster.textsOf('m-service-discovery'))).toEqual(['ca.crt', 'services__discovery.key']);
  });

  it('publishes nothing when the certificates cannot be made', async () => {
    const failing = deploy(async () => {
      throw new Error('no database');
    });
    await expect(failing).rejects.toThrow('no database');
    expect([...cluster.secrets.keys()]).toEqual(['m-key']);
  });

  it('does not end well while a folder that somebody waits for is empty', async () => {
    await expect(deploy(async () => undefined)).rejects.toThrow(
      'services/discovery holds nothing that could go into the Secret m-service-discovery',
    );
  });

  it('only makes the files where there is no cluster', async () => {
    await deploy(initialise, { MQTT2GO_KUBERNETES_SECRETS: undefined });
    expect(cluster.requests).toEqual([]);
  });

  it('refuses a name that cannot be one', async () => {
    await expect(deploy(initialise, { MQTT2GO_KUBERNETES_SECRETS: '../m' })).rejects.toThrow(
      "MQTT2GO_KUBERNETES_SECRETS is '../m'; it takes the beginning of names of Secrets: small letters, digits and -",
    );
  });

  it('names its Secrets after the folders', () => {
    expect(deploymentFolders(['discovery'], ['bus', 'home-1']).map((folder) => secretNameOf('p', folder))).toEqual([
      'p-service-discovery',
      'p-broker-bus',
      'p-broker-home-1',
      'p-operator',
    ]);
  });
});

describe('the API server of this cluster', () => {
  it('is found by the variables and files of a pod', async () => {
    for (const [file, content] of Object.entries({ 'ca.crt': 'CA\n', token: 'T\n', namespace: 'homes' })) {
      await put(file, content);
    }
    const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '6443' };
    expect(await inClusterAddress(env, root)).toEqual({
      url: 'https://10.96.0.1:6443',
      ca: 'CA',
      token: 'T',
      namespace: 'homes',
    });
    expect((await inClusterAddress({ KUBERNETES_SERVICE_HOST: 'fd00::1' }, root)).url).toBe('https://[fd00::1]:443');
  });

  it('is missed with a clear line', async () => {
    await expect(inClusterAddress({})).rejects.toThrow('KUBERNETES_SERVICE_HOST is not set');
    await expect(inClusterAddress({ KUBERNETES_SERVICE_HOST: 'x' }, join(root, 'none'))).rejects.toThrow(
      "the pod has no service account's token",
    );
  });
});
