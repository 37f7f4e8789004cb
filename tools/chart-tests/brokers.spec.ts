import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mosquittoFiles, type MosquittoRole } from '@mqtt2go/broker-admin-mosquitto';
import { readBrokersFile } from '@mqtt2go/config';
import { contracts } from '@mqtt2go/messaging';
import { describe, expect, it } from 'vitest';
import { containersOf, envOf, type Json, minimal, type Objects, portsOf, render, sorted } from './support/chart.mjs';

const shards = (count: number, home: object = {}) => ({
  ...minimal,
  brokers: { home: { shards: count, host: 'h{shard}.example.org', ...home } },
});

/** By the code that the services read it with. */
async function asServicesReadIt(objects: Objects, publicHost = 'home.example.org') {
  const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-chart-'));
  try {
    await writeFile(join(folder, 'brokers.json'), JSON.stringify(objects.brokersFile));
    return readBrokersFile(join(folder, 'brokers.json'), publicHost);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const hostOf = (url: string | undefined) => new URL(url ?? '').hostname;

describe('the brokers file', () => {
  it('is one that the services take, and names Services that there are', async () => {
    for (const rendering of [
      { values: minimal },
      { values: shards(3) },
      { files: ['trial'] },
      { files: ['remote-broker'] },
    ]) {
      const objects = await render(rendering);
      const { bus, activation, home } = await asServicesReadIt(objects);
      for (const { urls } of [bus, activation, ...home]) {
        const { hostname, port } = new URL(urls[0] ?? '');
        const { spec } = objects.get('Service', hostname);
        expect(spec.type).toBe('ClusterIP');
        expect(spec.ports).toMatchObject([{ port: Number(port), targetPort: 'services' }]);
        const [pod, ...others] = objects.selected(spec.selector);
        expect(others).toEqual([]);
        expect(portsOf(pod!)).toContain(Number(port));
      }
    }
  });

  it('is the same for the services and for the Job that makes the certificates', async () => {
    const objects = await render({ values: shards(2) });
    const files = objects.ofKind('ConfigMap').map(({ data }) => data['brokers.json']);
    expect(files).toHaveLength(2);
    expect(files[0]).toBe(files[1]);
  });

  it('has some shards for homes with gateways', async () => {
    const { home } = await asServicesReadIt(await render({ values: shards(3, { gatewayShards: [2] }) }));
    expect(home.map(({ gateways }) => gateways)).toEqual([false, false, true]);
  });

  it('tells devices and controllers the addresses of each shard', async () => {
    const { home, activation } = await asServicesReadIt(await render({ values: shards(2) }));
    expect(
      home.map(({ name, host, port, controllerUrl, controllerWebSocketUrl }) => [
        name,
        host,
        port,
        controllerUrl,
        controllerWebSocketUrl,
      ]),
    ).toEqual([
      ['home-0', 'h0.example.org', 8883, 'mqtts://h0.example.org:8889', 'wss://h0.example.org:8884'],
      ['home-1', 'h1.example.org', 8883, 'mqtts://h1.example.org:8889', 'wss://h1.example.org:8884'],
    ]);
    expect(activation).toMatchObject({ host: 'home.example.org', port: 8885 });
  });

  it('tells the ports of nodes where Services have them, and a listener’s own name and port', async () => {
    const listeners = {
      devices: { nodePort: 30000 },
      controllers: { nodePort: 30100 },
      webSocket: { service: { type: 'LoadBalancer' }, host: 'ws{shard}.example.org', port: 443 },
    };
    const objects = await render({
      values: shards(2, { host: 'node.example.org', service: { type: 'NodePort' }, listeners }),
    });
    const { home } = await asServicesReadIt(objects);
    expect(
      home.map(({ host, port, controllerUrl, controllerWebSocketUrl }) => [
        host,
        port,
        controllerUrl,
        controllerWebSocketUrl,
      ]),
    ).toEqual([
      ['node.example.org', 30000, 'mqtts://node.example.org:30100', 'wss://ws0.example.org:443'],
      ['node.example.org', 30001, 'mqtts://node.example.org:30101', 'wss://ws1.example.org:443'],
    ]);
    const nodePorts = (name: string) =>
      objects.get('Service', name).spec.ports.map(({ name: port, nodePort }: Json) => [port, nodePort]);
    expect(nodePorts('m-mqtt2go-home-1-public').toSorted()).toEqual([
      ['controllers', 30101],
      ['devices', 30001],
    ]);
    expect(objects.get('Service', 'm-mqtt2go-home-1-websocket').spec).toMatchObject({
      type: 'LoadBalancer',
      ports: [{ port: 443, targetPort: 'websocket' }],
    });
  });

  it('takes an address in place of a name', async () => {
    const { home } = await asServicesReadIt(
      await render({ values: { ...minimal, publicHost: '2001:db8::1' } }),
      '2001:db8::1',
    );
    expect(home[0]).toMatchObject({ host: '2001:db8::1', controllerUrl: 'mqtts://[2001:db8::1]:8889' });
  });
});

describe('home shards', () => {
  it('have each their own of everything', async () => {
    const objects = await render({ values: shards(3) });
    for (const shard of [0, 1, 2]) {
      const name = `m-mqtt2go-home-${shard}`;
      const { spec } = objects.get('StatefulSet', name);
      expect(spec).toMatchObject({ replicas: 1, serviceName: name });
      expect(spec.volumeClaimTemplates).toMatchObject([{ metadata: { name: 'data' } }]);
      const source = spec.template.spec.volumes.find(({ name: volume }: Json) => volume === 'source');
      expect(source.secret.secretName).toBe(`m-mqtt2go-broker-home-${shard}`);
      for (const service of [name, `${name}-public`]) {
        expect(
          objects.selected(objects.get('Service', service).spec.selector).map(({ owner }) => owner.metadata.name),
        ).toEqual([name]);
      }
    }
    expect(objects.names('StatefulSet').filter((name) => name.includes('-home-'))).toHaveLength(3);
    expect(objects.brokersFile.home).toHaveLength(3);
  });

  it('are not disturbed when another one is added', async () => {
    const [two, three] = [await render({ values: shards(2) }), await render({ values: shards(3) })];
    for (const name of ['m-mqtt2go-home-0', 'm-mqtt2go-home-1', 'm-mqtt2go-activation', 'm-mqtt2go-bus']) {
      expect(three.get('StatefulSet', name)).toEqual(two.get('StatefulSet', name));
    }
  });

  it('start again when their own names change, for their certificate is another one then', async () => {
    const annotations = async (values: object) =>
      (await render({ values })).get('StatefulSet', 'm-mqtt2go-home-0').spec.template.metadata.annotations;
    expect(await annotations(shards(2, { host: 'x{shard}.example.org' }))).not.toEqual(await annotations(shards(2)));
  });

  it('are kept from being emptied at once, if there are several', async () => {
    expect((await render({ values: shards(1) })).find('PodDisruptionBudget', 'm-mqtt2go-home')).toBeUndefined();
    const objects = await render({ values: shards(2) });
    const { spec } = objects.get('PodDisruptionBudget', 'm-mqtt2go-home');
    expect(spec.maxUnavailable).toBe(1);
    expect(objects.selected(spec.selector.matchLabels).map(({ owner }) => owner.metadata.name)).toEqual([
      'm-mqtt2go-home-0',
      'm-mqtt2go-home-1',
    ]);
  });

  it('have {shard} in annotations', async () => {
    const objects = await render({
      values: shards(2, { service: { annotations: { 'example.org/host': 'h{shard}' } } }),
    });
    expect(objects.get('Service', 'm-mqtt2go-home-1-public').metadata.annotations).toEqual({
      'example.org/host': 'h1',
    });
  });
});

describe('a pod of a broker', () => {
  it('listens where the generated mosquitto.conf does, and finds its files where that says', async () => {
    const objects = await render({ values: minimal });
    const brokers: [string, MosquittoRole][] = [
      ['home-0', 'home'],
      ['activation', 'activation'],
      ['bus', 'bus'],
    ];
    for (const [name, role] of brokers) {
      const conf = mosquittoFiles({ name, role, contracts })['mosquitto.conf'] ?? '';
      const listeners = [...conf.matchAll(/^listener (\d+)$/gm)].map(([, port]) => Number(port));
      const { spec } = objects.get('StatefulSet', `m-mqtt2go-${name}`).spec.template;
      const mosquitto = spec.containers.find((container: Json) => container.name === 'mosquitto');
      expect(sorted(mosquitto.ports.map(({ containerPort }: Json) => containerPort))).toEqual(sorted(listeners));
      const mounts: Json[] = mosquitto.volumeMounts;
      const folders = [...conf.matchAll(/ (\/mosquitto\/\w+)\//g)].map(([, folder]) => folder);
      expect(mounts.map(({ mountPath }) => mountPath)).toEqual(expect.arrayContaining([...new Set(folders)]));
      expect(mounts.find(({ mountPath }) => mountPath === '/mosquitto/config').readOnly).toBe(true);
    }
  });

  it('has its access from the database before it starts, and kept so while it runs', async () => {
    const objects = await render({ values: minimal });
    for (const component of ['home-broker', 'activation-broker']) {
      const { spec } = objects.pod(component);
      expect(spec.initContainers.map(({ name, args }: Json) => [name, args])).toEqual([['files', ['broker']]]);
      const access = spec.containers.find(({ name }: Json) => name === 'access');
      expect(access.args).toEqual(['broker', '--watch']);
      expect(envOf(access)).toMatchObject({
        MQTT2GO_BROKER_DIR: '/mosquitto/config',
        MQTT2GO_ACCESS_INTERVAL_SECONDS: '15',
      });
      // It writes the access, and has no business with the keys.
      expect(access.volumeMounts).toContainEqual({
        name: 'config',
        mountPath: '/mosquitto/config/access',
        subPath: 'access',
      });
      expect(access.volumeMounts.map(({ name }: Json) => name)).not.toContain('source');
      // A broker without a database goes on serving its devices.
      expect(access.readinessProbe.httpGet.path).toBe('/health/live');
    }
  });

  it('gives the database to what beside it reads the database, and not to Mosquitto', async () => {
    const objects = await render({ files: ['trial'] });
    for (const component of ['home-broker', 'activation-broker', 'bus-broker']) {
      const withDatabase = containersOf(objects.pod(component)).filter((each) => 'DATABASE_URL' in envOf(each));
      expect(withDatabase.map(({ name }) => name)).toEqual(component === 'bus-broker' ? [] : ['files', 'access']);
    }
  });

  it('keeps sessions on a volume, the bus none', async () => {
    const objects = await render({ values: minimal });
    const data = (component: string) => {
      const { owner, spec } = objects.pod(component);
      return [owner.spec.volumeClaimTemplates?.length ?? 0, spec.volumes.some(({ name }: Json) => name === 'data')];
    };
    expect(data('home-broker')).toEqual([1, false]);
    expect(data('activation-broker')).toEqual([1, false]);
    expect(data('bus-broker')).toEqual([0, true]);
  });
});

describe('the certificate for controllers', () => {
  const mounts = (objects: Objects, component: string) =>
    containersOf(objects.pod(component)).flatMap(({ volumeMounts }) => volumeMounts.map(({ name }: Json) => name));

  it('is the platform’s own at first', async () => {
    const objects = await render({ values: minimal });
    expect(mounts(objects, 'home-broker')).not.toContain('controllers-tls');
    expect(objects.ofKind('Certificate')).toEqual([]);
  });

  it('comes from a Secret', async () => {
    const objects = await render({ values: { ...minimal, tls: { controllers: { existingSecret: 'public-tls' } } } });
    const { spec } = objects.pod('home-broker');
    expect(spec.volumes).toContainEqual({
      name: 'controllers-tls',
      secret: { secretName: 'public-tls', defaultMode: 0o440 },
    });
    expect(envOf(spec.initContainers[0]).MQTT2GO_CONTROLLERS_TLS_DIR).toBe('/etc/mqtt2go/controllers');
    expect(mounts(objects, 'activation-broker')).not.toContain('controllers-tls');
  });

  it('is made by cert-manager for the names that controllers use', async () => {
    const tls = { controllers: { certManager: { enabled: true, issuerRef: { name: 'public' } } } };
    const listeners = { webSocket: { host: 'ws{shard}.example.org' } };
    const objects = await render({ values: { ...shards(2, { listeners }), tls } });
    const { spec } = objects.get('Certificate', 'm-mqtt2go-controllers-tls');
    expect(spec.dnsNames).toEqual(['h0.example.org', 'ws0.example.org', 'h1.example.org', 'ws1.example.org']);
    const { home } = await asServicesReadIt(objects);
    expect(home.flatMap((broker) => [broker.controllerUrl, broker.controllerWebSocketUrl].map(hostOf))).toEqual(
      spec.dnsNames,
    );
    expect(objects.pod('home-broker').spec.volumes).toContainEqual(
      expect.objectContaining({ secret: { secretName: spec.secretName, defaultMode: 0o440 } }),
    );
  });
});
