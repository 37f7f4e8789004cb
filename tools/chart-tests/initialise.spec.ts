import { runnableServices } from '@mqtt2go/config';
import { describe, expect, it } from 'vitest';
import { deploymentFolders, secretNameOf } from '../../apps/gateway/src/initialise/kubernetes-secrets.js';
import { envOf, type Json, minimal, type Objects, render, sorted } from './support/chart.mjs';

const hookOf = ({ metadata }: Json): string | undefined => metadata.annotations?.['helm.sh/hook'];
const weightOf = ({ metadata }: Json): number => Number(metadata.annotations['helm.sh/hook-weight']);
const hooks = (objects: Objects) => objects.all.filter((object) => hookOf(object) !== undefined);

const three = { ...minimal, brokers: { home: { shards: 3, host: 'h{shard}.example.org' } } };

describe('the Job that initialises', () => {
  it('runs before anything else is made or changed, after what it needs', async () => {
    const objects = await render({ values: minimal });
    const all = hooks(objects);
    expect(sorted(all.map(({ kind }) => kind))).toEqual(['ConfigMap', 'Job', 'Role', 'RoleBinding', 'ServiceAccount']);
    for (const each of all) {
      expect(hookOf(each)).toBe('pre-install,pre-upgrade');
      expect(each.metadata.annotations['helm.sh/hook-delete-policy']).toBe('before-hook-creation,hook-succeeded');
    }
    const job = objects.get('Job', 'm-mqtt2go-initialise');
    for (const other of all.filter((each) => each !== job)) expect(weightOf(other)).toBeLessThan(weightOf(job));
    // Nothing that it uses is made later than it.
    const { spec } = job.spec.template;
    const own = all.map(({ metadata }) => metadata.name);
    expect(own).toContain(spec.serviceAccountName);
    for (const { configMap } of spec.volumes) if (configMap !== undefined) expect(own).toContain(configMap.name);
  });

  it('may read and change exactly the Secrets that the pods wait for, and the key', async () => {
    const objects = await render({ values: three });
    const { rules } = objects.get('Role', 'm-mqtt2go-initialise');
    const [named, unnamed, ...others] = rules;
    expect(others).toEqual([]);
    expect(named).toMatchObject({ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'update'] });
    expect(unnamed).toEqual({ apiGroups: [''], resources: ['secrets'], verbs: ['create'] });
    const waitedFor = objects.pods.flatMap(({ spec }) =>
      spec.volumes.flatMap(({ secret }: Json) => (secret === undefined ? [] : [secret.secretName])),
    );
    expect(sorted(named.resourceNames)).toEqual(sorted([...waitedFor, 'm-mqtt2go-operator']));
    expect(objects.get('RoleBinding', 'm-mqtt2go-initialise')).toMatchObject({
      roleRef: { kind: 'Role', name: 'm-mqtt2go-initialise' },
      subjects: [{ kind: 'ServiceAccount', name: 'm-mqtt2go-initialise', namespace: 'homes' }],
    });
  });

  it('writes Secrets under the names that the pods have for them', async () => {
    const objects = await render({ values: three });
    const brokers = ['bus', 'activation', ...objects.brokersFile.home.map(({ name }: Json) => name)];
    const env = envOf(objects.pod('initialise').spec.containers[0]);
    const written = deploymentFolders(runnableServices, brokers).map((folder) =>
      secretNameOf(env.MQTT2GO_KUBERNETES_SECRETS, folder),
    );
    const { rules } = objects.get('Role', 'm-mqtt2go-initialise');
    expect(sorted([...written, env.MQTT2GO_KUBERNETES_KEY_SECRET])).toEqual(sorted(rules[0].resourceNames));
  });

  it('makes the encryption key once, and leaves one alone that is there', async () => {
    const own = await render({ values: minimal });
    expect(envOf(own.pod('initialise').spec.containers[0])).toMatchObject({
      MQTT2GO_KUBERNETES_KEY_SECRET: 'm-mqtt2go-encryption-key',
    });
    // The chart has no part in it, so that no rendering can make another one and no record of Helm has it.
    expect(own.ofKind('Secret')).toEqual([]);

    const given = await render({ values: { ...minimal, encryptionKey: { existingSecret: 'kept', entry: 'key.b64' } } });
    const { spec } = given.pod('initialise');
    const env = envOf(spec.containers[0]);
    expect(env).not.toHaveProperty('MQTT2GO_KUBERNETES_KEY_SECRET');
    expect(env.MQTT2GO_KEY_FILE).toBe('/etc/mqtt2go/key/key');
    expect(given.get('Role', 'm-mqtt2go-initialise').rules[0].resourceNames).not.toContain('kept');
    for (const component of ['initialise', ...runnableServices]) {
      expect(given.pod(component).spec.volumes).toContainEqual({
        name: 'key',
        secret: { secretName: 'kept', defaultMode: 0o440, items: [{ key: 'key.b64', path: 'key' }] },
      });
    }
  });

  it('ends, and is tried again', async () => {
    const { spec } = (await render({ values: minimal })).get('Job', 'm-mqtt2go-initialise');
    expect(spec).toMatchObject({ backoffLimit: 6, activeDeadlineSeconds: 600 });
    expect(spec.template.spec.restartPolicy).toBe('OnFailure');
  });

  it('runs beside the pods at the first installation of a trial, whose database is made at the same time', async () => {
    const install = await render({ files: ['trial'] });
    expect(hooks(install).map(hookOf)).toEqual(Array(5).fill('pre-upgrade'));
    const job = install.get('Job', 'm-mqtt2go-initialise-first');
    expect(hookOf(job)).toBeUndefined();
    const role = install.get('Role', 'm-mqtt2go-initialise-first');
    expect(role.rules).toEqual(install.get('Role', 'm-mqtt2go-initialise').rules);
    expect(job.spec.template.spec.serviceAccountName).toBe('m-mqtt2go-initialise-first');

    const upgrade = await render({ files: ['trial'], upgrade: true });
    expect(upgrade.names('Job')).toEqual(['m-mqtt2go-initialise']);
  });

  it('is not needed by a gateway, which keeps its files itself', async () => {
    const gateway = await render({ files: ['local-gateway'] });
    expect(gateway.ofKind('Job')).toEqual([]);
    expect(gateway.ofKind('Role')).toEqual([]);
  });
});

describe('the bundled PostgreSQL', () => {
  it('is only there when asked for', async () => {
    expect((await render({ values: minimal })).find('StatefulSet', 'm-mqtt2go-postgresql')).toBeUndefined();
    expect((await render({ files: ['trial'] })).get('StatefulSet', 'm-mqtt2go-postgresql').spec.replicas).toBe(1);
  });

  it('has a password that nobody chose, and that stays', async () => {
    const password = async () => {
      const secret = (await render({ files: ['trial'] })).get('Secret', 'm-mqtt2go-postgresql');
      expect(secret.metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
      return Buffer.from(secret.data.password, 'base64').toString();
    };
    const [one, other] = [await password(), await password()];
    expect(one).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(other).not.toBe(one);
    const own = await render({ files: ['trial'], values: { postgresql: { existingSecret: 'mine' } } });
    expect(own.ofKind('Secret')).toEqual([]);
    expect(envOf(own.pod('provisioning').spec.containers[0]).PGPASSWORD).toEqual({
      secretKeyRef: { name: 'mine', key: 'password' },
    });
  });

  it('is what DATABASE_URL leads to', async () => {
    const objects = await render({ files: ['trial'] });
    const env = envOf(objects.pod('provisioning').spec.containers[0]);
    const url = new URL(env.DATABASE_URL.replace('$(PGPASSWORD)', 'password'));
    expect(objects.get('Service', url.hostname).spec.ports).toMatchObject([{ port: Number(url.port) }]);
    expect(url).toMatchObject({ username: 'mqtt2go', pathname: '/mqtt2go', protocol: 'postgresql:' });
  });
});
