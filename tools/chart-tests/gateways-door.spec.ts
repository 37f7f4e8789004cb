import { runnableServices } from '@mqtt2go/config';
import { describe, expect, it } from 'vitest';
import { envOf, type Json, minimal, type Objects, render } from './support/chart.mjs';

const withDoor = (door: object, values: object = {}) =>
  render({ values: { ...minimal, ...values, services: { federation: { door } } } });
const serviceOf = (objects: Objects): Json => objects.get('Service', 'm-mqtt2go-federation-public');
const variablesOf = (objects: Objects, component: string): Json => envOf(objects.pod(component).spec.containers[0]);
const urlToldBy = (objects: Objects): unknown => variablesOf(objects, 'federation').MQTT2GO_FEDERATION_URL;

describe('the gateways’ door', () => {
  it('leads from outside to every process of the service, and to nobody else', async () => {
    const objects = await withDoor({});
    const { spec } = serviceOf(objects);
    expect(spec).toMatchObject({
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      ports: [{ port: 8890, targetPort: 'door' }],
    });
    expect(objects.selected(spec.selector).map(({ component }) => component)).toEqual(['federation']);
    const { owner, spec: pod } = objects.pod('federation');
    expect(owner.spec.replicas).toBe(2);
    const [container] = pod.containers;
    expect(container.ports).toContainEqual({ name: 'door', containerPort: 8890, protocol: 'TCP' });
    expect(variablesOf(objects, 'federation')).toMatchObject({
      MQTT2GO_BIND: '0.0.0.0',
      MQTT2GO_FEDERATION_PORT: '8890',
    });
    // Metrics have a Service of their own, which leads nobody in from outside.
    expect(objects.get('Service', 'm-mqtt2go-federation-metrics').spec).toMatchObject({
      clusterIP: 'None',
      ports: [{ port: 9090 }],
    });
  });

  it('is told with the name and the port that lead to it', async () => {
    expect(urlToldBy(await withDoor({}))).toBe('https://home.example.org:8890');
    expect(urlToldBy(await withDoor({ host: 'gateways.example.org', port: 443 }))).toBe(
      'https://gateways.example.org:443',
    );
    expect(urlToldBy(await withDoor({}, { publicHost: '2001:db8::1' }))).toBe('https://[2001:db8::1]:8890');
    const node = await withDoor({ nodePort: 30999, service: { type: 'NodePort', externalTrafficPolicy: '' } });
    expect(urlToldBy(node)).toBe('https://home.example.org:30999');
    expect(serviceOf(node).spec.ports).toMatchObject([{ port: 8890, nodePort: 30999 }]);
    const inside = await withDoor({ nodePort: 30999, service: { type: 'ClusterIP' } });
    expect(urlToldBy(inside)).toBe('https://home.example.org:8890');
    expect(serviceOf(inside).spec.ports[0]).not.toHaveProperty('nodePort');
  });

  it('has a certificate of the platform’s own for the name that is told', async () => {
    const objects = await withDoor({ host: 'gateways.example.org' });
    expect(variablesOf(objects, 'initialise').MQTT2GO_FEDERATION_URL).toBe(urlToldBy(objects));
    const secrets = objects.pod('federation').spec.volumes.flatMap(({ secret }: Json) => secret?.items ?? []);
    const paths = secrets.map(({ path }: Json) => path);
    expect(paths).toEqual(expect.arrayContaining(['ca.crt', 'federation.crt', 'federation.key']));
  });

  it('is nobody else’s to know or to open', async () => {
    const objects = await withDoor({});
    const others = runnableServices.filter((name) => name !== 'federation');
    for (const component of others) {
      expect(Object.keys(variablesOf(objects, component)).filter((name) => name.includes('FEDERATION'))).toEqual([]);
      expect(objects.listening(component)).not.toContain(8890);
    }
    const open = objects.ofKind('Service').filter(({ spec }) => spec.type !== 'ClusterIP');
    expect(open.filter(({ spec }) => spec.ports.some(({ port }: Json) => port === 8890))).toEqual([serviceOf(objects)]);
  });

  it('is not there in a gateway, which goes to the door of its cloud', async () => {
    const objects = await render({ files: ['local-gateway'] });
    expect(objects.all.filter(({ metadata }) => metadata.name.includes('federation'))).toEqual([]);
    const ports = objects.ofKind('Service').flatMap(({ spec }) => spec.ports.map(({ port }: Json) => port));
    expect(ports).not.toContain(8890);
    expect(objects.listening('gateway')).not.toContain(8890);
  });
});
