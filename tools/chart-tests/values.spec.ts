import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { chart, containersOf, envOf, type Json, minimal, refusal, render, sorted } from './support/chart.mjs';

const read = (file: string): string => readFileSync(join(chart, file), 'utf8');
const schema: Json = JSON.parse(read('values.schema.json'));
const defaults: Json = parse(read('values.yaml'));

describe('values that cannot be', () => {
  it.each<[string, object, RegExp]>([
    ['no name for the platform', { publicHost: '' }, /publicHost is not set; it takes the name under which/],
    [
      'no database',
      { database: { existingSecret: '' } },
      /database\.existingSecret is not set; it takes the name of a Secret/,
    ],
    [
      'two databases',
      { postgresql: { enabled: true } },
      /database\.existingSecret and postgresql\.enabled are both set/,
    ],
    [
      'half an address',
      { database: { existingSecret: 's', entries: { url: '', host: 'h' } } },
      /it takes host, user and password/,
    ],
    [
      'two certificates',
      { tls: { controllers: { existingSecret: 'a', certManager: { enabled: true, issuerRef: { name: 'b' } } } } },
      /are both set; set one/,
    ],
    ['no issuer', { tls: { controllers: { certManager: { enabled: true } } } }, /issuerRef\.name is not set/],
    [
      'two shards of one name',
      { brokers: { home: { shards: 2 } } },
      /home-0 controllers and home-1 controllers would both be .*; write \{shard\} into brokers\.home\.host/,
    ],
    [
      'a node’s port that nobody knows',
      { brokers: { home: { service: { type: 'NodePort' } } } },
      /nodePort is not set; clients are told a port/,
    ],
    [
      'a node’s port for gateways that nobody knows',
      { services: { federation: { door: { service: { type: 'NodePort' } } } } },
      /services\.federation\.door\.nodePort is not set; gateways are told a port/,
    ],
    [
      'a door where controllers come in',
      { services: { federation: { door: { port: 8889 } } } },
      /services\.federation\.door and brokers\.home \(home-0 controllers\) would both be home\.example\.org:8889/,
    ],
    [
      'a door of a service that has none',
      { services: { discovery: { door: { port: 443 } } } },
      /services\.discovery: Additional property door is not allowed/,
    ],
    [
      'more at least than at most',
      { services: { discovery: { autoscaling: { enabled: true, minReplicas: 9 } } } },
      /services\.discovery\.autoscaling\.maxReplicas is 6, less than minReplicas 9/,
    ],
    [
      'a word that is none',
      { brokers: { home: { shardz: 2 } } },
      /brokers\.home: Additional property shardz is not allowed/,
    ],
    ['a service that is none', { services: { kitchen: {} } }, /Additional property kitchen is not allowed/],
    ['no shard', { brokers: { home: { shards: 0 } } }, /brokers\.home\.shards/],
    ['a URL for a host', { publicHost: 'https://home.example.org' }, /publicHost/],
    ['a profile for a mode', { mode: 'local-gateway' }, /mode must be one of/],
    ['another profile', { profile: 'cloud' }, /profile must be one of/],
    ['a gateway in the house in many pods', { profile: 'local-gateway' }, /a gateway in the house is one pod/],
    [
      'a secret among the variables',
      { services: { discovery: { env: { MQTT2GO_KEY: 'x' } } } },
      /services\.discovery\.env/,
    ],
    ['no end of memory', { brokers: { bus: { resources: { limits: { memory: null } } } } }, /limits/],
    ['a password in the open', { database: { password: 'x' } }, /Additional property password is not allowed/],
  ])('are refused with a line that says why: %s', async (_name, values, line) => {
    const said = await refusal({ ...minimal, ...values });
    expect(said).toMatch(line);
    expect(said).not.toContain('nil pointer');
  });
});

describe('the schema', () => {
  it('is strict everywhere, and knows every default', () => {
    const open: string[] = [];
    const look = (node: Json, path: string): void => {
      if (node.properties !== undefined && node.additionalProperties !== false) open.push(path);
      for (const [name, child] of Object.entries(node))
        if (typeof child === 'object' && child !== null) look(child, `${path}/${name}`);
    };
    look(schema, '');
    expect(open).toEqual([]);
    const validate = new Ajv({ strict: false, allErrors: true }).compile(schema);
    validate(defaults);
    expect(validate.errors ?? []).toEqual([]);
    const known = Object.keys(schema.properties).filter((name) => name !== 'global');
    expect(Object.keys(defaults).toSorted()).toEqual(known.toSorted());
  });

  it('has each value in the README', () => {
    const readme = read('README.md');
    const described = new Set([...readme.matchAll(/^\| `([^`]+)`/gm)].map(([, name = '']) => name));
    const isDescribed = (path: string): boolean =>
      described.has(path) || [...described].some((name) => name.endsWith('.*') && path.startsWith(name.slice(0, -1)));
    const missing: string[] = [];
    const look = (value: Json, path: string): void => {
      if (path !== '' && isDescribed(path)) return;
      const isLeaf =
        typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length === 0;
      if (isLeaf) missing.push(path);
      else for (const [name, child] of Object.entries(value)) look(child, path === '' ? name : `${path}.${name}`);
    };
    const { services, ...others } = defaults;
    look(others, '');
    for (const [name, { door = {}, ...service }] of Object.entries<Json>(services)) {
      look(service, 'services.<service>');
      if (Object.keys(door).length > 0) look(door, `services.${name}.door`);
    }
    expect([...new Set(missing)]).toEqual([]);
  });
});

describe('replicas', () => {
  const service = 'certificate-authority';

  it('are scaled only when that is asked for, and then by nobody else', async () => {
    const fixed = await render({ values: { ...minimal, services: { [service]: { replicas: 3 } } } });
    expect(fixed.ofKind('HorizontalPodAutoscaler')).toEqual([]);
    expect(fixed.pod(service).owner.spec.replicas).toBe(3);

    const scaled = await render({
      values: {
        ...minimal,
        services: Object.fromEntries(['discovery', service].map((name) => [name, { autoscaling: { enabled: true } }])),
      },
    });
    expect(scaled.names('HorizontalPodAutoscaler')).toEqual([`m-mqtt2go-${service}`, 'm-mqtt2go-discovery']);
    for (const name of ['discovery', service]) {
      const { owner, spec } = scaled.pod(name);
      expect(owner.spec).not.toHaveProperty('replicas');
      expect(scaled.get('HorizontalPodAutoscaler', `m-mqtt2go-${name}`).spec.scaleTargetRef).toEqual({
        apiVersion: 'apps/v1',
        kind: owner.kind,
        name: owner.metadata.name,
      });
      // There may be others: what a replica leaves behind is theirs.
      expect(envOf(spec.containers[0]).MQTT2GO_REPLICAS).toBe('6');
    }
    expect(scaled.names('HorizontalPodAutoscaler').some((name) => /home|activation|bus/.test(name))).toBe(false);
  });

  it('are kept from leaving together, where there is more than one', async () => {
    const budgets = async (values: object) =>
      (await render({ values: { ...minimal, services: { [service]: values } } })).find(
        'PodDisruptionBudget',
        `m-mqtt2go-${service}`,
      );
    expect(await budgets({ replicas: 1 })).toBeUndefined();
    expect((await budgets({ replicas: 2 })).spec.maxUnavailable).toBe(1);
    expect(await budgets({ autoscaling: { enabled: true, minReplicas: 1 } })).toBeUndefined();
    expect(await budgets({ podDisruptionBudget: { enabled: false } })).toBeUndefined();
  });
});

describe('the database', () => {
  it('is a URL from a Secret', async () => {
    const objects = await render({ values: minimal });
    for (const component of ['provisioning', 'initialise', 'home-broker']) {
      const container = containersOf(objects.pod(component)).find((each) => 'DATABASE_URL' in envOf(each));
      expect(envOf(container).DATABASE_URL).toEqual({ secretKeyRef: { name: 'the-database', key: 'url' } });
    }
  });

  it('is put together from the parts of a Secret, and trusted by its CA', async () => {
    const objects = await render({
      values: {
        ...minimal,
        database: {
          existingSecret: 'db',
          entries: { url: '', host: 'host', user: 'username', password: 'password' },
          parameters: 'sslmode=verify-full',
          ca: { existingSecret: 'ca' },
        },
      },
    });
    const [container] = objects.pod('provisioning').spec.containers;
    const env = envOf(container);
    expect(env.DATABASE_URL).toBe('postgresql://$(PGUSER):$(PGPASSWORD)@$(PGHOST):5432/mqtt2go?sslmode=verify-full');
    expect(env.PGPASSWORD).toEqual({ secretKeyRef: { name: 'db', key: 'password' } });
    expect(env.NODE_EXTRA_CA_CERTS).toBe('/etc/mqtt2go/database/ca.crt');
    expect(container.volumeMounts).toContainEqual({
      name: 'database-ca',
      mountPath: '/etc/mqtt2go/database',
      readOnly: true,
    });
    // A variable can use those before it only.
    const order = Object.keys(env);
    for (const name of ['PGHOST', 'PGUSER', 'PGPASSWORD'])
      expect(order.indexOf(name)).toBeLessThan(order.indexOf('DATABASE_URL'));
  });
});

describe('images', () => {
  const images = async (values: object) => {
    const objects = await render({ values: { ...minimal, ...values } });
    return new Set(objects.pods.flatMap(containersOf).map(({ image }) => image));
  };

  it('are of this version, one for each program', async () => {
    expect(await images({})).toEqual(
      new Set([
        ...['certificate-authority', 'discovery', 'federation', 'initialise', 'provisioning', 'topic-generator'].map(
          (name) => `mqtt2go/${name}:0.1.0`,
        ),
        'docker.io/eclipse-mosquitto:2.1',
      ]),
    );
  });

  it('come from where the values say, one by one if need be', async () => {
    const found = await images({
      image: { registry: 'registry.example.org', repository: 'team/mqtt2go', tag: '9.9' },
      services: { discovery: { image: { repository: 'other', tag: 'sha256:abc' } } },
      brokers: { image: { registry: '', repository: 'mqtt2go/offline-mosquitto', tag: 'latest-2' } },
    });
    expect(found).toContain('registry.example.org/other@sha256:abc');
    expect(found).toContain('registry.example.org/team/mqtt2go/provisioning:9.9');
    expect(found).toContain('mqtt2go/offline-mosquitto:latest-2');
  });
});

describe('the service monitor', () => {
  it('finds the metrics of every service', async () => {
    const objects = await render({
      values: { ...minimal, serviceMonitor: { enabled: true, labels: { release: 'p' } } },
    });
    const { spec, metadata } = objects.get('ServiceMonitor', 'm-mqtt2go');
    expect(metadata.labels.release).toBe('p');
    const matching = objects
      .ofKind('Service')
      .filter(({ metadata: { labels } }) =>
        Object.entries(spec.selector.matchLabels).every(([name, value]) => labels[name] === value),
      );
    expect(sorted(matching.map(({ metadata: { labels } }) => labels['app.kubernetes.io/component']))).toEqual([
      'certificate-authority',
      'discovery',
      'federation',
      'provisioning',
      'topic-generator',
    ]);
    for (const service of matching) {
      const [port] = service.spec.ports;
      expect(spec.endpoints[0].port).toBe(port.name);
      const [pod] = objects.selected(service.spec.selector);
      expect(pod!.spec.containers[0].ports).toContainEqual(
        expect.objectContaining({ name: port.targetPort, containerPort: 9090 }),
      );
    }
    expect((await render({ values: minimal })).ofKind('ServiceMonitor')).toEqual([]);
  });
});
