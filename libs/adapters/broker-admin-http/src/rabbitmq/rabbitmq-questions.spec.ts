import { contractController, contractDevice } from '@mqtt2go/ports/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EndpointStage, manager, openEndpoint } from '../testing/endpoint-stage.js';
import { createTestPki } from '../testing/test-pki.js';

let stage: EndpointStage;

beforeAll(async () => {
  stage = await openEndpoint(await createTestPki(), 'rabbitmq');
  await stage.admin.replaceAll([contractDevice(), contractController()]);
});
afterAll(() => stage.close());

const plug = 'urn:mqtt2go:device:plug-1:0A01';
const provisioning = 'urn:mqtt2go:service:provisioning:01';
const phone = 'phone-1@home-1';
const device = { username: plug, vhost: '/', client_id: 'plug-1' };
const controller = { username: phone, vhost: '/', client_id: `${phone}/app`, password: 'first-password' };

async function answer(path: string, fields: Record<string, string>): Promise<string> {
  const { status, body, contentType } = await stage.asker.form(`/rabbitmq/${path}`, fields);
  expect([status, contentType]).toEqual([200, 'text/plain']);
  return body;
}

describe('RabbitMQ asks who may sign in', () => {
  it('and is told of certificates by their names, of passwords by the copy', async () => {
    expect(await answer('user', device)).toBe('allow');
    expect(await answer('user', controller)).toBe('allow');
    expect(await answer('user', { username: provisioning, vhost: '/', client_id: 'service:provisioning-x' })).toBe(
      'allow',
    );
  });

  it.each<[string, Record<string, string>]>([
    ['another certificate of the device', { ...device, username: plug.replace('0A01', '0A02') }],
    ['an unknown device', { ...device, username: plug.replaceAll('plug-1', 'plug-2'), client_id: 'plug-2' }],
    ["a certificate's name with a password", { ...device, password: 'x' }],
    ['a common name', { ...device, username: 'plug-1' }],
    ['a wrong password', { ...controller, password: 'second-password' }],
    ['an unknown user', { ...controller, username: 'nobody@home-1', client_id: 'nobody@home-1/app' }],
    ['another virtual host', { ...device, vhost: 'other' }],
    ["another's client id", { ...device, client_id: 'plug-2' }],
    ['a service without business', { ...device, username: provisioning.replace('provisioning', 'discovery') }],
    ['the manager over MQTT', { username: manager.user, password: manager.password, vhost: '/', client_id: 'x' }],
    ['a wrong manager', { username: manager.user, password: 'x' }],
    ['a controller at the management API', { username: phone, password: 'first-password' }],
    ['a certificate at the management API', { username: plug }],
    ['ill-formed UTF-8', { ...device, username: '\uFFFD' }],
  ])('and is told no of %s', async (_what, fields) => {
    expect(await answer('user', fields)).toBe('deny');
  });

  it('and is told of nobody but the manager that it may administer', async () => {
    expect(await answer('user', { username: manager.user, password: manager.password })).toBe('allow administrator');
    expect(await answer('user', { username: manager.user, password: manager.password, vhost: '/' })).toBe(
      'allow administrator',
    );
  });

  it('with GET as well', async () => {
    const query = new URLSearchParams(device).toString();
    expect((await stage.asker.send('GET', `/rabbitmq/user?${query}`)).body).toBe('allow');
  });
});

describe('RabbitMQ asks what may be used', () => {
  const context = { ...device, tags: '', ip: '192.0.2.1' };

  it('of the virtual host', async () => {
    expect(await answer('vhost', context)).toBe('allow');
    expect(await answer('vhost', { ...context, vhost: 'other' })).toBe('deny');
    expect(await answer('vhost', { username: manager.user, vhost: '/', ip: '', tags: 'administrator' })).toBe('allow');
    expect(await answer('vhost', { username: plug, vhost: '/', ip: '', tags: 'administrator' })).toBe('deny');
  });

  const resource = (kind: string, name: string, permission: string, change: Record<string, string> = {}) =>
    answer('resource', { ...context, resource: kind, name, permission, ...change });

  it('of queues: those of its own session', async () => {
    for (const permission of ['configure', 'read', 'write']) {
      expect(await resource('queue', 'mqtt-subscription-plug-1qos0', permission)).toBe('allow');
      expect(await resource('queue', 'mqtt-subscription-plug-1qos1', permission)).toBe('allow');
      for (const name of [
        'mqtt-subscription-plug-2qos1',
        'mqtt-subscription-plug-1qos1x',
        'mqtt-subscription-plug-10qos1',
        'mqtt-will-plug-1',
        'plug-1',
        '',
      ]) {
        expect(await resource('queue', name, permission)).toBe('deny');
      }
    }
    const other = { client_id: 'plug-2' };
    expect(await resource('queue', 'mqtt-subscription-plug-2qos1', 'read', other)).toBe('deny');
  });

  it("of exchanges: MQTT's, which it may not change", async () => {
    expect(await resource('exchange', 'amq.topic', 'read')).toBe('allow');
    expect(await resource('exchange', 'amq.topic', 'write')).toBe('allow');
    expect(await resource('exchange', 'amq.topic', 'configure')).toBe('deny');
    expect(await resource('exchange', 'amq.default', 'write')).toBe('deny');
  });

  it("of the manager: to delete sessions' queues and nothing else", async () => {
    const asked = { username: manager.user, vhost: '/', tags: 'administrator', resource: 'queue' };
    const name = 'mqtt-subscription-plug-1qos1';
    expect(await answer('resource', { ...asked, name, permission: 'configure' })).toBe('allow');
    expect(await answer('resource', { ...asked, name, permission: 'read' })).toBe('deny');
    expect(await answer('resource', { ...asked, name: 'other', permission: 'configure' })).toBe('deny');
    expect(await answer('resource', { ...asked, username: plug, name, permission: 'configure' })).toBe('deny');
  });
});

describe('RabbitMQ asks of topics', () => {
  const topic = (user: { username: string; client_id: string }, permission: string, routingKey: string, change = {}) =>
    answer('topic', {
      username: user.username,
      vhost: '/',
      resource: 'topic',
      name: 'amq.topic',
      permission,
      tags: '',
      routing_key: routingKey,
      'variable_map.username': user.username,
      'variable_map.vhost': '/',
      'variable_map.client_id': user.client_id,
      ...change,
    });
  const service = { username: provisioning, client_id: 'service:provisioning-devices' };

  it.each([
    [device, 'read', 'plug-1.topics'],
    [device, 'write', 'plug-1.topics'],
    [device, 'read', '.plug-1.topics'],
    [device, 'read', 'home-1.gw-1.*.socket.plug-1'],
    [device, 'write', 'home-1.gw-1.kitchen.socket.plug-1'],
    [controller, 'read', 'home-1.gw-1.*.*.*'],
    [controller, 'write', 'home-1.gw-1.add_device'],
    [service, 'read', '*.*.add_device'],
    [service, 'read', '*.topics'],
    [service, 'write', 'plug-1.topics'],
  ])('and is told yes: %o %s %s', async (user, permission, routingKey) => {
    expect(await topic(user, permission, routingKey)).toBe('allow');
  });

  it.each([
    [device, 'read', 'plug-2.topics'],
    [device, 'read', '*.topics'],
    [device, 'read', '#'],
    [device, 'read', 'home-1.gw-1.*.socket.*'],
    [device, 'read', 'plug-1.#.topics'],
    [device, 'write', 'home-1.gw-1.*.socket.plug-1'],
    [device, 'write', 'home-1.gw-1.#.socket.plug-1'],
    [device, 'write', 'home-1.gw-1.add_device'],
    [controller, 'read', 'home-1.#'],
    [controller, 'read', 'home-2.gw-1.add_device'],
    [controller, 'write', 'plug-1.topics'],
    [service, 'read', '#'],
    [service, 'write', '$CONTROL.mqtt2go-access.v1'],
  ])('and is told no: %o %s %s', async (user, permission, routingKey) => {
    expect(await topic(user, permission, routingKey)).toBe('deny');
  });

  it('and is told no when the question does not fit together', async () => {
    for (const change of [
      { 'variable_map.username': phone },
      { 'variable_map.client_id': 'plug-2' },
      { 'variable_map.vhost': 'other' },
      { vhost: 'other' },
      { name: 'amq.fanout' },
      { permission: 'configure' },
      { resource: 'queue' },
    ]) {
      expect(await topic(device, 'read', 'plug-1.topics', change)).toBe('deny');
    }
  });
});
