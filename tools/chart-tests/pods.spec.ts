import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { containersOf, envOf, type Json, minimal, type Objects, render, root } from './support/chart.mjs';

const sets = {
  services: { values: { ...minimal, brokers: { home: { shards: 3, host: 'h{shard}.example.org' } } } },
  trial: { files: ['trial'] },
  gateway: { files: ['local-gateway'] },
} as const;
const rendered: Record<string, Objects> = {};

beforeAll(async () => {
  for (const [name, rendering] of Object.entries(sets)) rendered[name] = await render(rendering);
});

const everyPod = () => Object.values(rendered).flatMap(({ pods }) => pods);
const everyContainer = () =>
  everyPod().flatMap((pod) => containersOf(pod).map((container: Json) => ({ pod, container })));
const label = ({ pod, container }: ReturnType<typeof everyContainer>[number]) =>
  `${pod.owner.metadata.name}/${container.name}`;

describe('every pod', () => {
  it('runs as a user of its own who is not root', () => {
    for (const { spec, owner } of everyPod()) {
      expect(spec.securityContext, owner.metadata.name).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(spec.securityContext.runAsUser).toBeGreaterThan(0);
      for (const field of ['hostNetwork', 'hostPID', 'hostIPC', 'shareProcessNamespace']) {
        expect(spec).not.toHaveProperty(field);
      }
      expect(spec.volumes.filter((volume: Json) => 'hostPath' in volume)).toEqual([]);
    }
  });

  it('has no token of the cluster, but for the one that writes the Secrets', () => {
    for (const pod of everyPod()) {
      expect(pod.spec.automountServiceAccountToken).toBe(false);
      const mounted = containersOf(pod).filter(({ volumeMounts = [] }) =>
        volumeMounts.some(({ mountPath }: Json) => mountPath.startsWith('/var/run/secrets/kubernetes.io')),
      );
      expect(mounted.map(({ name }) => name)).toEqual(pod.component === 'initialise' ? ['initialise'] : []);
    }
  });

  it('is not told of other Services by variables that mean something else to it', () => {
    for (const { spec } of everyPod()) expect(spec.enableServiceLinks).toBe(false);
  });

  it('is found by its owner, and by nobody else’s', () => {
    for (const objects of Object.values(rendered)) {
      for (const pod of objects.pods.filter(({ owner }) => owner.kind !== 'Job')) {
        const { matchLabels } = pod.owner.spec.selector;
        expect(objects.selected(matchLabels).map(({ owner }) => owner.metadata.name)).toEqual([
          pod.owner.metadata.name,
        ]);
      }
    }
  });

  it('is not made anew because the chart or the program has another number', () => {
    for (const { metadata, component } of everyPod()) {
      expect(Object.keys(metadata.labels).toSorted()).toEqual(
        [
          ...['component', 'instance', 'name', 'part-of'].map((name) => `app.kubernetes.io/${name}`),
          ...(component.endsWith('-broker') ? ['mqtt2go.io/broker'] : []),
        ].toSorted(),
      );
    }
  });

  it('has time to finish what it began', () => {
    for (const { spec } of everyPod()) expect(spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(30);
  });

  it('is spread over hosts and zones with those of its own kind', () => {
    for (const pod of rendered.services?.pods ?? []) {
      expect(pod.spec.topologySpreadConstraints.map(({ topologyKey }: Json) => topologyKey)).toEqual([
        'kubernetes.io/hostname',
        'topology.kubernetes.io/zone',
      ]);
      for (const { labelSelector } of pod.spec.topologySpreadConstraints) {
        expect(labelSelector.matchLabels['app.kubernetes.io/component']).toBe(pod.component);
      }
    }
  });

  it('has volumes for all that its containers mount, and no other', () => {
    for (const pod of everyPod()) {
      const claims = (pod.owner.spec.volumeClaimTemplates ?? []).map(({ metadata }: Json) => metadata.name);
      const volumes = [...pod.spec.volumes.map(({ name }: Json) => name), ...claims];
      const mounts = containersOf(pod).flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }: Json) => name));
      expect(new Set(mounts), pod.owner.metadata.name).toEqual(new Set(volumes));
      expect(new Set(volumes).size).toBe(volumes.length);
    }
  });
});

describe('every container', () => {
  it('has no privileges, and a root file system that it cannot write', () => {
    for (const each of everyContainer()) {
      expect(each.container.securityContext, label(each)).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
  });

  it('asks for CPU and memory, and has an end of memory', () => {
    for (const each of everyContainer()) {
      const { requests, limits } = each.container.resources;
      expect(requests, label(each)).toEqual({ cpu: expect.any(String), memory: expect.any(String) });
      expect(limits.memory, label(each)).toEqual(expect.any(String));
    }
  });

  it('is asked whether it lives and is ready, if it is to stay', () => {
    for (const { pod, container } of everyContainer()) {
      const probes = ['startupProbe', 'livenessProbe', 'readinessProbe'].filter((probe) => probe in container);
      const stays = pod.owner.kind !== 'Job' && pod.spec.containers.includes(container);
      expect(probes, container.name).toHaveLength(stays ? 3 : 0);
      const ports = (container.ports ?? []).map(({ name }: Json) => name);
      for (const probe of probes) {
        const { httpGet, tcpSocket, exec } = container[probe];
        if (exec === undefined) expect(ports).toContain((httpGet ?? tcpSocket).port);
      }
    }
  });

  it('is told its profile, and has no door for new devices where they come to that of the others', () => {
    for (const [name, objects] of Object.entries(rendered)) {
      const isLocal = name === 'gateway';
      const ours = objects.pods.flatMap(containersOf).filter((each: Json) => 'MQTT2GO_PROFILE' in envOf(each));
      expect(ours.length).toBeGreaterThan(0);
      for (const each of ours) expect(envOf(each).MQTT2GO_PROFILE).toBe(isLocal ? 'local-gateway' : 'remote-broker');
      if (!isLocal) continue;
      expect(ours.flatMap((each: Json) => (each.ports ?? []).map(({ name: port }: Json) => port))).toEqual([
        'metrics',
        'devices',
        'websocket',
      ]);
      expect(ours.map(envOf)).toEqual([expect.not.objectContaining({ MQTT2GO_ACTIVATION_PORT: expect.anything() })]);
    }
  });

  it('comes from an image with a tag of its own', () => {
    for (const { container } of everyContainer()) expect(container.image).toMatch(/^[a-z0-9./-]+:[\w.-]+$/);
    for (const { container } of everyContainer()) expect(container.image).not.toContain(':latest');
  });

  it('gets secrets from Secrets only', () => {
    for (const objects of Object.values(rendered)) {
      for (const { data = {} } of objects.ofKind('ConfigMap')) {
        for (const text of Object.values(data)) expect(text).not.toMatch(/BEGIN|password|secret/i);
      }
    }
    for (const { container } of everyContainer()) {
      for (const [name, value] of Object.entries(envOf(container))) {
        if (/PASSWORD$|_KEY$|TOKEN|^PGUSER$/.test(name)) expect(value, name).toHaveProperty('secretKeyRef');
        if (typeof value === 'string')
          expect(value).not.toMatch(/:\/\/[^:/]*:[^$]/.test(value) ? /:\/\/[^/@]*:[^$@][^@]*@/ : /$^/);
      }
      expect(JSON.stringify([container.args ?? [], container.command ?? []])).not.toMatch(/password|key=/i);
    }
  });

  it('is told nothing that its program does not read', () => {
    const sources = [
      'libs/config/src',
      'apps/gateway/src/initialise',
      'libs/runtime/src',
      'libs/messaging/src',
    ].flatMap((folder) => readTree(join(root, folder)));
    const known = new Set(sources.join('\n').match(/\b(MQTT2GO_[A-Z0-9_]+|DATABASE_URL|OTEL_[A-Z0-9_]+)\b/g));
    // Of Node.js, of PostgreSQL's image, and what DATABASE_URL is put together from.
    const others = /^(NODE_EXTRA_CA_CERTS|PG(HOST|PORT|DATABASE|USER|PASSWORD)|POSTGRES_[A-Z_]+|PGDATA)$/;
    for (const each of everyContainer()) {
      const unknown = Object.keys(envOf(each.container)).filter((name) => !known.has(name) && !others.test(name));
      expect(unknown, label(each)).toEqual([]);
    }
  });
});

function readTree(folder: string): string[] {
  const { readdirSync } = process.getBuiltinModule('node:fs');
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /(?<!\.spec)\.ts$/.test(entry.name))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
}

describe('a pod of a service', () => {
  const services = ['certificate-authority', 'discovery', 'federation', 'provisioning', 'topic-generator'];
  const servers = ['discovery', 'federation'];

  it('mounts its own certificates and no other’s', () => {
    for (const service of services) {
      const { spec } = rendered.services!.pod(service);
      const secrets = spec.volumes.flatMap(({ secret }: Json) => (secret === undefined ? [] : [secret]));
      expect(secrets.map(({ secretName }: Json) => secretName).toSorted()).toEqual([
        'm-mqtt2go-encryption-key',
        `m-mqtt2go-service-${service}`,
      ]);
      const files = secrets.flatMap(({ items }: Json) => items.map(({ path }: Json) => path));
      expect(files.filter((path: string) => path.endsWith('.key')).toSorted()).toEqual(
        [...(servers.includes(service) ? [`${service}.key`] : []), `services/${service}.key`].toSorted(),
      );
    }
  });

  it('keeps its name when it is one whose name brokers remember', () => {
    const kinds = Object.fromEntries(services.map((service) => [service, rendered.services!.pod(service).owner.kind]));
    expect(kinds).toEqual({
      'certificate-authority': 'Deployment',
      discovery: 'StatefulSet',
      federation: 'Deployment',
      provisioning: 'StatefulSet',
      'topic-generator': 'Deployment',
    });
    for (const service of services) {
      const env = envOf(rendered.services!.pod(service).spec.containers[0]);
      expect(env.MQTT2GO_REPLICA).toEqual({ fieldRef: { fieldPath: 'metadata.name' } });
      expect(env.MQTT2GO_REPLICAS, service).toBe('2');
    }
  });

  it('serves health where the probes ask, and says how it is reached', () => {
    for (const service of services) {
      const [container] = rendered.services!.pod(service).spec.containers;
      expect(envOf(container)).toMatchObject({
        MQTT2GO_HEALTH_BIND: '0.0.0.0',
        MQTT2GO_HEALTH_PORT: '9090',
        MQTT2GO_DISCOVERY_URL: 'https://m-mqtt2go-discovery:8443',
      });
      expect(container.livenessProbe.httpGet.path).toBe('/health/live');
      expect(container.readinessProbe.httpGet.path).toBe('/health/ready');
    }
    expect(rendered.services!.get('Service', 'm-mqtt2go-discovery').spec).toMatchObject({
      type: 'ClusterIP',
      ports: [{ port: 8443, targetPort: 'rest' }],
    });
  });

  it('starts again when the brokers are others', async () => {
    const checksum = (objects: Objects) => objects.pod('provisioning').metadata.annotations['checksum/brokers'];
    const other = await render({ values: { ...sets.services.values, publicHost: 'other.example.org' } });
    expect(checksum(other)).not.toBe(checksum(rendered.services!));
    expect(checksum(await render(sets.services))).toBe(checksum(rendered.services!));
  });
});
