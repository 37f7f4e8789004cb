import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { faultsOf } from './support/api.mjs';
import { chart, type Json, minimal, render, type Rendering, runHelm } from './support/chart.mjs';

const valuesFiles = readdirSync(chart)
  .filter((name) => /^values(-.*)?\.yaml$/.test(name))
  .toSorted();

const everything = {
  ...minimal,
  fullnameOverride: 'a-name-that-is-as-long-as-it-may-be',
  image: { registry: 'registry.example.org:5000', tag: `sha256:${'0'.repeat(64)}`, pullSecrets: ['pull'] },
  tracing: { endpoint: 'https://collector.example.org' },
  encryptionKey: { existingSecret: 'the-key', entry: 'key.b64' },
  database: {
    existingSecret: 'the-database',
    entries: { url: '', host: 'host', port: 'port', name: 'dbname', user: 'username', password: 'password' },
    parameters: 'sslmode=verify-full',
    ca: { existingSecret: 'database-ca' },
  },
  tls: { controllers: { certManager: { enabled: true, issuerRef: { name: 'public' }, annotations: { a: 'b' } } } },
  brokers: {
    home: {
      shards: 3,
      host: 'home-{shard}.example.org',
      service: { annotations: { 'example.org/name': 'home-{shard}' }, loadBalancerSourceRanges: ['10.0.0.0/8'] },
      listeners: {
        devices: { from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] },
        controllers: { host: 'app-{shard}.example.org', service: { type: 'NodePort' }, nodePort: 30100 },
        webSocket: { port: 443, host: 'ws-{shard}.example.org', service: { type: 'ClusterIP' } },
      },
      storage: { storageClass: 'fast' },
      scheduling: { nodeSelector: { disk: 'ssd' }, priorityClassName: 'high' },
    },
  },
  services: Object.fromEntries(
    ['discovery', 'provisioning', 'certificate-authority', 'topic-generator', 'federation'].map((name) => [
      name,
      {
        autoscaling: { enabled: true },
        env: { MQTT2GO_LOG_LEVEL: 'debug' },
        image: { repository: `own/${name}` },
        ...(name === 'federation' && {
          door: {
            host: 'gateways.example.org',
            port: 443,
            service: { annotations: { 'example.org/name': 'gateways' }, loadBalancerSourceRanges: ['10.0.0.0/8'] },
            from: [{ ipBlock: { cidr: '10.0.0.0/8' } }],
          },
        }),
      },
    ]),
  ),
  scheduling: {
    tolerations: [{ key: 'k', operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
    priorityClassName: 'p',
  },
  podAnnotations: { a: 'b' },
  podLabels: { team: 'homes' },
  networkPolicy: { database: { to: [{ ipBlock: { cidr: '10.1.0.0/16' } }] } },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
};

const renderings: Readonly<Record<string, Rendering>> = {
  'the least that has to be said': { values: minimal },
  'all there is': { values: everything },
  'an upgrade': { values: everything, upgrade: true },
  'the remote broker': { files: ['remote-broker'] },
  'the local gateway': { files: ['local-gateway'] },
  'a trial': { files: ['trial'] },
  'an upgrade of a trial': { files: ['trial'], upgrade: true },
  'a trial with less around it': {
    files: ['trial'],
    values: { networkPolicy: { enabled: false }, scheduling: { spread: false }, postgresql: { existingSecret: 'own' } },
  },
  'a gateway with a key and a database of its own': {
    files: ['local-gateway'],
    values: {
      postgresql: { enabled: false },
      database: { existingSecret: 'db', ca: { existingSecret: 'ca' } },
      encryptionKey: { existingSecret: 'key' },
      gateway: {
        service: { type: 'NodePort' },
        listeners: { devices: { nodePort: 30883 }, webSocket: { nodePort: 30884 }, activation: { nodePort: 30885 } },
      },
      serviceMonitor: { enabled: true },
    },
  },
};

describe('what is rendered', () => {
  it.each(Object.entries(renderings))('is what Kubernetes takes, to the last field: %s', async (_name, rendering) => {
    const { all } = await render(rendering);
    expect(all.length).toBeGreaterThan(5);
    expect(all.flatMap(faultsOf)).toEqual([]);
  });

  it.each(Object.entries(renderings))(
    'has each object once, in its namespace, with all labels: %s',
    async (_, given) => {
      const { all } = await render({ ...given, namespace: 'elsewhere' });
      const ids = all.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
      expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
      for (const { metadata } of all) {
        expect(metadata.namespace, metadata.name).toBe('elsewhere');
        expect(metadata.name.length, metadata.name).toBeLessThanOrEqual(63);
        expect(Object.keys(metadata.labels)).toEqual(
          expect.arrayContaining(
            ['name', 'instance', 'component', 'part-of', 'version', 'managed-by'].map(
              (name) => `app.kubernetes.io/${name}`,
            ),
          ),
        );
        const values: string[] = Object.values(metadata.labels);
        for (const value of values) expect(value).toMatch(/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/);
      }
    },
  );

  it.each(valuesFiles)('passes the lint of Helm: %s', async (file) => {
    const { ok, output } = await runHelm('lint', '--strict', chart, '--values', `${chart}/${file}`);
    expect(output).toContain('0 chart(s) failed');
    expect(ok).toBe(true);
  });

  it('does not depend on the release’s name, however long', async () => {
    const { all } = await render({
      values: minimal,
      release: 'a-release-whose-name-is-as-long-as-helm-allows-it-tob',
    });
    expect(all.flatMap(faultsOf)).toEqual([]);
    for (const { kind, metadata } of all) {
      // A pod's name, with what its owner adds, is a label too.
      const most = kind === 'Deployment' || kind === 'StatefulSet' || kind === 'Job' ? 52 : 63;
      expect(metadata.name.length, metadata.name).toBeLessThanOrEqual(most);
    }
  });
});

describe('the check of fields', () => {
  it('finds what a wrong indentation makes', () => {
    const service = (spec: Json): Json => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec });
    expect(faultsOf(service({ ports: [{ port: 1, targetPort: 'x' }] }))).toEqual([]);
    expect(faultsOf(service({ ports: [{ port: 1, target: 'x' }], clusterip: 'None' }))).toEqual([
      'v1/Service s: .spec.ports[0].target is no field',
      'v1/Service s: .spec.clusterip is no field',
    ]);
    expect(faultsOf(service({ ports: [{ port: 'https' }] })).join()).toContain('must be integer');
    expect(faultsOf({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } })).toEqual([
      'v1/Pod p: no schema is known',
    ]);
  });
});
