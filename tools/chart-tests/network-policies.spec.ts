import { beforeAll, describe, expect, it } from 'vitest';
import { type Json, minimal, type Objects, render, sorted } from './support/chart.mjs';

let services: Objects;
let trial: Objects;
let gateway: Objects;

beforeAll(async () => {
  services = await render({
    values: {
      ...minimal,
      brokers: { home: { shards: 2, host: 'h{shard}.example.org' } },
      tracing: { endpoint: 'http://collector:4318' },
    },
  });
  trial = await render({ files: ['trial'] });
  gateway = await render({ files: ['local-gateway'] });
});

const componentLabel = 'app.kubernetes.io/component';
const policyOf = (objects: Objects, component: string): Json =>
  objects.ofKind('NetworkPolicy').find(({ spec }) => spec.podSelector.matchLabels?.[componentLabel] === component)
    ?.spec;

/** `to` and `from` of the release's own pods, as `component:port`; everybody else as `*:port` or the peer's name. */
function edges(rules: readonly Json[] = [], direction: 'from' | 'to'): string[] {
  return rules.flatMap((rule) =>
    (rule[direction] ?? [{}]).flatMap((peer: Json) =>
      rule.ports.map(({ port }: Json) => {
        const component = peer.podSelector?.matchLabels?.[componentLabel];
        const namespace = peer.namespaceSelector?.matchLabels?.['kubernetes.io/metadata.name'];
        return `${component ?? namespace ?? (Object.keys(peer).length === 0 ? '*' : JSON.stringify(peer))}:${port}`;
      }),
    ),
  );
}
const ingress = (objects: Objects, component: string) => sorted(edges(policyOf(objects, component).ingress, 'from'));
const egress = (objects: Objects, component: string) => sorted(edges(policyOf(objects, component).egress, 'to'));

describe('network policies', () => {
  it('deny everything to all pods of the release first', () => {
    for (const objects of [services, trial, gateway]) {
      const { spec } = objects.get('NetworkPolicy', 'm-mqtt2go-default-deny');
      expect(spec).toMatchObject({ policyTypes: ['Ingress', 'Egress'] });
      expect(spec).not.toHaveProperty('ingress');
      expect(spec).not.toHaveProperty('egress');
      expect(objects.selected(spec.podSelector.matchLabels)).toHaveLength(objects.pods.length);
    }
  });

  it('are there for every kind of pod, in both directions', () => {
    for (const objects of [services, trial, gateway]) {
      for (const component of new Set(objects.pods.map((pod) => pod.component))) {
        expect(policyOf(objects, component).policyTypes, component).toEqual(['Ingress', 'Egress']);
      }
    }
  });

  it('let the parts speak as the architecture has it, and not otherwise', () => {
    const always = ['kube-system:53', '*:5432'];
    expect(egress(services, 'provisioning')).toEqual(
      sorted([...always, 'bus-broker:8886', 'home-broker:8887', 'discovery:8443', '*:4318']),
    );
    expect(egress(services, 'discovery')).toEqual(
      sorted([...always, 'bus-broker:8886', 'activation-broker:8888', '*:4318']),
    );
    expect(egress(services, 'certificate-authority')).toEqual(sorted([...always, 'bus-broker:8886', '*:4318']));
    expect(egress(services, 'topic-generator')).toEqual(
      sorted([...always, 'bus-broker:8886', 'home-broker:8887', '*:4318']),
    );
    expect(egress(services, 'federation')).toEqual(
      sorted([...always, 'bus-broker:8886', 'home-broker:8887', '*:4318']),
    );
    expect(egress(services, 'home-broker')).toEqual(sorted(always));
    expect(egress(services, 'activation-broker')).toEqual(sorted(always));
    expect(egress(services, 'bus-broker')).toEqual([]);
    expect(egress(services, 'initialise')).toEqual(sorted([...always, '*:443', '*:6443']));
  });

  it('let in at each pod whom it answers', () => {
    const metrics = 'monitoring:9090';
    expect(ingress(services, 'discovery')).toEqual(sorted([metrics, 'provisioning:8443']));
    for (const component of ['provisioning', 'certificate-authority', 'topic-generator']) {
      expect(ingress(services, component)).toEqual([metrics]);
    }
    expect(ingress(services, 'federation')).toEqual(sorted([metrics, '*:8890']));
    expect(ingress(services, 'home-broker')).toEqual(
      sorted(['federation:8887', 'provisioning:8887', 'topic-generator:8887', '*:8883', '*:8889', '*:8884']),
    );
    expect(ingress(services, 'activation-broker')).toEqual(sorted(['discovery:8888', '*:8885']));
    expect(ingress(services, 'bus-broker')).toEqual(
      ['certificate-authority', 'discovery', 'federation', 'provisioning', 'topic-generator'].map(
        (name) => `${name}:8886`,
      ),
    );
    expect(ingress(services, 'initialise')).toEqual([]);
    expect(ingress(gateway, 'gateway')).toEqual(sorted([metrics, '*:8883', '*:8884']));
    expect(ingress(gateway, 'postgresql')).toEqual(['gateway:5432']);
  });

  it('agree from both ends, and with what listens there', () => {
    for (const objects of [services, trial, gateway]) {
      const components = [...new Set(objects.pods.map((pod) => pod.component))];
      const out = components.flatMap((from) =>
        egress(objects, from).flatMap((edge) => {
          const [to = '', port = ''] = edge.split(':');
          return components.includes(to) ? [`${from}>${to}:${port}`] : [];
        }),
      );
      const into = components.flatMap((to) =>
        ingress(objects, to).flatMap((edge) => {
          const [from = '', port = ''] = edge.split(':');
          return components.includes(from) ? [`${from}>${to}:${port}`] : [];
        }),
      );
      expect(sorted(into)).toEqual(sorted(out));
      for (const edge of out) {
        const [, to = '', port = ''] = /^.*>(.*):(.*)$/.exec(edge) ?? [];
        expect(objects.listening(to), edge).toContain(Number(port));
      }
      for (const component of components) {
        const ports = ingress(objects, component).map((edge) => Number(edge.split(':').at(-1)));
        for (const port of ports) expect(objects.listening(component), `${component}:${port}`).toContain(port);
      }
    }
  });

  it('leave every port closed that nobody is to reach but the kubelet', () => {
    for (const pod of services.pods) {
      const reached = ingress(services, pod.component).map((edge) => Number(edge.split(':').at(-1)));
      const closed = services.listening(pod.component).filter((port) => !reached.includes(port));
      expect([...new Set(closed)], pod.component).toEqual(
        pod.component.match(/^(home|activation)-broker$/) ? [9090] : [],
      );
    }
  });

  it('know the bundled database, and let those in who use it', () => {
    expect(egress(trial, 'provisioning')).toContain('postgresql:5432');
    expect(egress(trial, 'provisioning')).not.toContain('*:5432');
    expect(egress(trial, 'postgresql')).toEqual([]);
    const users = trial.pods
      .filter(({ spec }) => JSON.stringify(spec).includes('"DATABASE_URL"'))
      .map((pod) => pod.component);
    expect(ingress(trial, 'postgresql')).toEqual(sorted(users.map((component) => `${component}:5432`)));
  });

  it('take narrower peers', async () => {
    const cidr = (range: string) => [{ ipBlock: { cidr: range } }];
    const objects = await render({
      values: {
        ...minimal,
        brokers: { home: { listeners: { controllers: { from: cidr('10.1.0.0/16') } } } },
        services: { federation: { door: { from: cidr('10.4.0.0/16') } } },
        networkPolicy: {
          database: { to: cidr('10.2.0.5/32'), port: 6432 },
          kubernetesApi: { to: cidr('10.3.0.1/32'), ports: [443] },
          monitoring: { from: [] },
        },
      },
    });
    expect(ingress(objects, 'home-broker')).toContain('{"ipBlock":{"cidr":"10.1.0.0/16"}}:8889');
    expect(ingress(objects, 'federation')).toEqual(['{"ipBlock":{"cidr":"10.4.0.0/16"}}:8890']);
    expect(egress(objects, 'discovery')).toContain('{"ipBlock":{"cidr":"10.2.0.5/32"}}:6432');
    expect(egress(objects, 'initialise')).toContain('{"ipBlock":{"cidr":"10.3.0.1/32"}}:443');
    expect(ingress(objects, 'certificate-authority')).toEqual([]);
  });

  it('can be left to others', async () => {
    const objects = await render({ values: { ...minimal, networkPolicy: { enabled: false } } });
    expect(objects.ofKind('NetworkPolicy')).toEqual([]);
  });
});
