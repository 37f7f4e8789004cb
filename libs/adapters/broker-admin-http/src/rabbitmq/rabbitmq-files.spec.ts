import { describe, expect, it } from 'vitest';
import { rabbitmqFiles } from './rabbitmq-files.js';

const options = {
  hosts: ['rabbit-0', 'rabbit-1', 'rabbit-2'],
  folder: '/etc/mqtt2go',
  authUrl: 'https://topic-generator:8890',
  ca: '-----BEGIN CERTIFICATE-----\nROOT\n-----END CERTIFICATE-----\n',
  servicesCa: '-----BEGIN CERTIFICATE-----\nSERVICES\n-----END CERTIFICATE-----\n',
};

function settings(change: object = {}): Map<string, string> {
  const lines = (rabbitmqFiles({ ...options, ...change })['rabbitmq.conf'] ?? '')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const pairs = lines.map((line): [string, string] => {
    const [name = '', value = ''] = line.split(' = ', 2);
    return [name, value];
  });
  expect(new Map(pairs).size).toBe(pairs.length);
  return new Map(pairs);
}

describe("RabbitMQ's configuration", () => {
  it('opens nothing but MQTT over TLS and the management API for services', () => {
    const all = settings();
    const open = [...all].filter(([name]) => /(^|\.)(listeners\.|port$)/.test(name));
    expect(Object.fromEntries(open)).toEqual({
      'listeners.tcp': 'none',
      'listeners.ssl': 'none',
      'mqtt.listeners.tcp': 'none',
      'mqtt.listeners.ssl.devices': '8883',
      'mqtt.listeners.ssl.services': '8887',
      'web_mqtt.ssl.port': '8884',
      'management.ssl.port': '15671',
    });
    expect(all.get('management.ssl.fail_if_no_peer_cert')).toBe('true');
    expect(all.get('management.ssl.verify')).toBe('verify_peer');
    expect(rabbitmqFiles(options)['advanced.config']).toContain('{verify, verify_peer}');
  });

  it('asks the platform about everybody, with a certificate, and believes nobody else', () => {
    const all = settings();
    expect([...all].filter(([name]) => name.startsWith('auth_backends.'))).toEqual([['auth_backends.1', 'http']]);
    for (const question of ['user', 'vhost', 'resource', 'topic']) {
      expect(all.get(`auth_http.${question}_path`)).toBe(`https://topic-generator:8890/rabbitmq/${question}`);
    }
    expect(all.get('auth_http.ssl_options.verify')).toBe('verify_peer');
    expect(all.get('auth_http.ssl_options.cacertfile')).toBe('/etc/mqtt2go/services-ca.crt');
    expect(all.get('mqtt.allow_anonymous')).toBe('false');
  });

  it('names a certificate by its second URI, and takes the colons in it for what they are', () => {
    const all = settings();
    expect(all.get('ssl_cert_login_from')).toBe('subject_alternative_name');
    expect(all.get('ssl_cert_login_san_type')).toBe('uri');
    expect(all.get('ssl_cert_login_san_index')).toBe('1');
    expect(rabbitmqFiles(options)['advanced.config']).toContain('{ignore_colons_in_username, true}');
  });

  it("shows devices the certificate below the root, and services one of the services' CA", () => {
    const files = rabbitmqFiles({ ...options, serviceHosts: ['rabbit.internal'] });
    const own = '{certfile, "/etc/mqtt2go/broker.crt"}, {keyfile, "/etc/mqtt2go/broker.key"}';
    expect(files['advanced.config']).toContain('{certfile, "/etc/mqtt2go/server.crt"}');
    expect(files['advanced.config']).toContain(`{sni_hosts, [{"rabbit.internal", [${own}]}]}`);
  });

  it('makes one cluster of several hosts, and none of one', () => {
    expect(settings().get('cluster_formation.classic_config.nodes.3')).toBe('rabbit@rabbit-2');
    expect([...settings({ hosts: ['rabbit-0'] }).keys()].some((name) => name.startsWith('cluster_formation.'))).toBe(
      false,
    );
  });

  it('bounds what waits in sessions, and has no users of its own', () => {
    const definitions: unknown = JSON.parse(
      rabbitmqFiles({ ...options, limits: { maxQueued: 10 } })['definitions.json'] ?? '',
    );
    expect(definitions).toMatchObject({
      users: [],
      policies: [
        { pattern: '^mqtt-subscription-', definition: { 'max-length': 10 } },
        { pattern: '^mqtt-subscription-service:', definition: { 'max-length': 1_000 } },
      ],
    });
  });

  it('trusts both CAs where both kinds of certificates come', () => {
    const files = rabbitmqFiles(options);
    expect(files['client-ca.crt']).toBe(`${options.ca}${options.servicesCa}`);
    expect(files['services-ca.crt']).toBe(options.servicesCa);
  });
});
