import type { BusRequest } from '@mqtt2go/access';
import { describe, expect, it } from 'vitest';
import { mosquittoFiles } from './mosquitto-files.js';

const contracts: readonly BusRequest[] = [
  { service: 'provisioning', verb: 'claim', callers: ['discovery'] },
  { service: 'discovery', verb: 'register', callers: ['operator'] },
];

/** A listener's lines by its port. */
function listenersOf(conf: string): Map<string, string[]> {
  const listeners = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of conf.split('\n')) {
    const port = /^listener (\d+)$/.exec(line)?.[1];
    if (port !== undefined) {
      lines = [];
      listeners.set(port, lines);
    }
    if (!line.startsWith('#') && line !== '') lines.push(line);
  }
  return listeners;
}

const confOf = (role: 'home' | 'activation' | 'bus'): string =>
  mosquittoFiles({ name: 'x', role, contracts })['mosquitto.conf'] ?? '';

describe('the configuration of a broker', () => {
  it.each([
    ['home', ['8883', '8889', '8884', '8887']],
    ['activation', ['8885', '8888']],
    ['bus', ['8886']],
  ] as const)('of a %s listens on its own ports and nowhere else', (role, ports) => {
    expect([...listenersOf(confOf(role)).keys()]).toEqual(ports);
  });

  it.each(['home', 'activation', 'bus'] as const)(
    'of a %s speaks TLS at every door and lets nobody in unnamed',
    (role) => {
      const conf = confOf(role);
      expect(conf).toContain('\nallow_anonymous false\n');
      expect(conf).toContain('\nset_tcp_nodelay true\n');
      expect(conf).not.toMatch(/^(password_file|acl_file|plugin|global_plugin|bridge|connection) /m);
      for (const lines of listenersOf(conf).values()) {
        expect(lines).toContain('tls_version tlsv1.2');
        expect(lines.filter((line) => line.startsWith('certfile ') || line.startsWith('keyfile '))).toHaveLength(2);
        expect(lines.filter((line) => line.startsWith('plugin_use '))).toHaveLength(1);
      }
    },
  );

  it('trusts the CAs in a folder, too, where it is for homes with gateways', () => {
    const conf = mosquittoFiles({ name: 'home-0', role: 'home', gateways: true, contracts })['mosquitto.conf'] ?? '';
    const own = 'cafile /mosquitto/config/devices-ca.crt';
    const trust = 'capath /mosquitto/config/access/trust';
    const listener = listenersOf(conf).get('8883');
    // Its name constraints are of the whole subject.
    const names = ['use_subject_as_username true', 'use_username_as_clientid true'];
    expect(listener).toEqual(expect.arrayContaining([own, trust, ...names]));
    expect(listener).not.toContain('use_identity_as_username true');
    expect(conf.match(/^capath /gm)).toHaveLength(1);
    expect(confOf('home')).not.toMatch(/^capath /m);
  });

  it('knows devices by their certificates, controllers by passwords, and services by certificates of their own CA', () => {
    const listeners = listenersOf(confOf('home'));
    expect(listeners.get('8883')).toEqual(
      expect.arrayContaining([
        'plugin_use access',
        'cafile /mosquitto/config/devices-ca.crt',
        'require_certificate true',
        'use_identity_as_username true',
        'use_username_as_clientid true',
      ]),
    );
    for (const port of ['8889', '8884']) {
      const lines = listeners.get(port);
      expect(lines).toEqual(expect.arrayContaining(['plugin_use access', 'use_username_as_clientid true']));
      expect(lines).not.toContain('require_certificate true');
    }
    expect(listeners.get('8887')).toEqual(
      expect.arrayContaining([
        'plugin_use services',
        'cafile /mosquitto/config/services-ca.crt',
        'require_certificate true',
        'use_subject_as_username true',
      ]),
    );
    expect(listenersOf(confOf('activation')).get('8885')).toContain('capath /mosquitto/config/access/trust');
  });

  it('gives the plugin a snapshot that it can read and not write beside', () => {
    const path = /^plugin_opt_config_file (.*)$/m.exec(confOf('home'))?.[1] ?? '';
    expect(path.length).toBe(4_095);
    expect(path.replaceAll('./', '').replaceAll('//', '/')).toBe('/mosquitto/config/access/dynamic-security.json');
  });

  it('takes limits and ports', () => {
    const files = mosquittoFiles({
      name: 'x',
      role: 'home',
      limits: { packetBytes: 1_000 },
      ports: { devices: 1_883 },
    });
    expect(files['mosquitto.conf']).toContain('\nmax_packet_size 1000\n');
    expect(files['mosquitto.conf']).toContain('\nlistener 1883\n');
  });
});

describe('what services may do', () => {
  const aclOf = (role: 'home' | 'activation' | 'bus'): string =>
    mosquittoFiles({ name: 'x', role, contracts })['services.acl'] ?? '';

  it('leaves the plugin to the one that keeps the access copy', () => {
    expect(aclOf('home')).toContain(
      'user CN=topic-generator,O=MQTT2GO\ntopic write $CONTROL/dynamic-security/v1\ntopic read $CONTROL/dynamic-security/v1/response\n',
    );
    expect(aclOf('home').match(/\$CONTROL\/dynamic-security\/v1$/gm)).toHaveLength(1);
    expect(aclOf('activation').match(/\$CONTROL\/dynamic-security\/v1$/gm)).toHaveLength(1);
    expect(aclOf('home')).not.toContain('mqtt2go-access');
    expect(aclOf('bus')).not.toContain('$CONTROL');
  });

  it('follows from the contracts on the bus', () => {
    const acl = aclOf('bus');
    expect(acl).toContain('user CN=discovery,O=MQTT2GO\n');
    expect(acl).toContain('topic write mqtt2go/provisioning/claim\n');
    expect(acl).toContain('topic read mqtt2go/provisioning/+\n');
    expect(acl).not.toContain('certificate-authority');
  });

  it('opens no topic of everybody', () => {
    for (const role of ['home', 'activation', 'bus'] as const) {
      expect(aclOf(role)).not.toMatch(/^(pattern|topic \S+ #$)/m);
      expect(aclOf(role).startsWith('user ')).toBe(true);
    }
  });
});
