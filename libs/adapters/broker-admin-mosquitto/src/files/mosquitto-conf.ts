import { subscriptionLogTopic } from '../subscription-notices.js';
import type { MosquittoLimits, MosquittoRole } from './limits.js';

export interface MosquittoPorts {
  /** Mutual TLS; the user name is the certificate's CN. */
  readonly devices: number;
  /** TLS and a password. */
  readonly controllers: number;
  /** The same over WebSockets. */
  readonly controllersWebSocket: number;
  /** Mutual TLS with certificates of the services' CA. */
  readonly services: number;
}

export interface MosquittoConfOptions {
  readonly name: string;
  readonly role: MosquittoRole;
  /** Of a home broker: whether it is for homes with gateways of their own. */
  readonly gateways: boolean;
  readonly limits: MosquittoLimits;
  readonly ports: MosquittoPorts;
  /** Where the broker finds {@link brokerFileNames}. */
  readonly folder: string;
  /** The one folder that the broker writes to. */
  readonly dataFolder: string;
  /** Where Mosquitto's plugins are. */
  readonly pluginFolder: string;
}

/** What stands in a broker's folder besides `mosquitto.conf`. The broker only reads it. */
export const brokerFileNames = {
  /** For devices and controllers: leaf and chain. */
  serverCertificate: 'server.crt',
  serverKey: 'server.key',
  /** Whose certificates devices of homes come with. */
  devicesCa: 'devices-ca.crt',
  /** For services: leaf and chain. */
  servicesCertificate: 'services.crt',
  servicesKey: 'services.key',
  servicesCa: 'services-ca.crt',
  servicesAcl: 'services.acl',
  /** Written by the service that keeps the access copy: its `accessDir`. */
  snapshot: 'access/dynamic-security.json',
  /** CAs of manufacturers, on an activation broker; of gateways, on a home broker for their homes. */
  trust: 'access/trust',
} as const;

/** Forward secrecy and authenticated encryption, as TLS 1.3 has by itself. */
const ciphers = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** The configuration of one broker, for Mosquitto 2.1. */
export function mosquittoConf(options: MosquittoConfOptions): string {
  const { role } = options;
  const parts = [general(options), ...(role === 'bus' ? [] : [dynamicSecurity(options)]), acl(options)];
  if (role !== 'bus') parts.push(devices(options));
  if (role === 'home') parts.push(...controllers(options));
  parts.push(services(options));
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function general({ name, role, limits, dataFolder }: MosquittoConfOptions): string[] {
  return [
    `# Broker ${name} (${role}). Generated; changes are lost.`,
    'allow_anonymous false',
    'log_dest stdout',
    'log_timestamp_format %Y-%m-%dT%H:%M:%SZ',
    // Without the plugin's line for each command.
    'log_type error',
    'log_type warning',
    'log_type notice',
    ...(role === 'home'
      ? [
          `# Who listens by now, told on ${subscriptionLogTopic} to the service that keeps messages for devices on their way.`,
          'log_dest topic',
          'log_type subscribe',
        ]
      : []),
    '# Each control message would wait 40 ms for a delayed acknowledgement of TCP.',
    'set_tcp_nodelay true',
    '# Nobody is allowed to read it.',
    'sys_interval 0',
    '',
    '# What clients may cost.',
    `global_max_clients ${limits.sessions}`,
    `max_packet_size ${limits.packetBytes}`,
    `max_inflight_messages ${limits.inflightMessages}`,
    `max_queued_messages ${limits.queuedMessages}`,
    `max_queued_bytes ${limits.queuedBytes}`,
    'queue_qos0_messages false',
    `max_keepalive ${limits.keepaliveSeconds}`,
    `persistent_client_expiration ${limits.sessionExpiryHours}h`,
    ...(role === 'home' ? [] : ['# Nothing here is for whoever comes later.', 'retain_available false']),
    ...(role === 'bus'
      ? ['# Services ask again.', 'persistence false']
      : [
          '# Of what came after the last write, a broker that is killed loses what waits for clients; all senders repeat.',
          'persistence true',
          `persistence_location ${dataFolder}/`,
          'autosave_on_changes false',
          `autosave_interval ${limits.autosaveSeconds}`,
        ]),
  ];
}

function dynamicSecurity({ folder, pluginFolder }: MosquittoConfOptions): string[] {
  return [
    '# Who may come in and do what, on all listeners but that of the services. The plugin would write all of this file',
    '# after each change, which the platform does instead. With a path of this length it finds no name for the new file,',
    '# and does not try.',
    `plugin_load access ${pluginFolder}/mosquitto_dynamic_security.so`,
    `plugin_opt_config_file ${unwritable(folder, brokerFileNames.snapshot)}`,
  ];
}

/** PATH_MAX of Linux, the final zero included. */
const pathMax = 4_096;

/**
 * A path that can be read, and that is too long to have `.new` put behind it, which is where the plugin writes first.
 * A folder that it cannot write to would do, but for a line in the log after each change.
 */
function unwritable(folder: string, name: string): string {
  const missing = pathMax - 1 - `${folder}/${name}`.length;
  return `${folder}/${missing % 2 === 0 ? '' : '/'}${'./'.repeat(Math.floor(missing / 2))}${name}`;
}

function acl({ folder, pluginFolder }: MosquittoConfOptions): string[] {
  return [
    '# What services may do, on their own listener alone: no name of a device or controller counts there.',
    `plugin_load services ${pluginFolder}/mosquitto_acl_file.so`,
    `plugin_opt_acl_file ${folder}/${brokerFileNames.servicesAcl}`,
  ];
}

function devices({ role, gateways, ports, limits, folder }: MosquittoConfOptions): string[] {
  const trusted = [
    '# Looked up at each handshake: a CA that is put there is trusted at once.',
    `capath ${folder}/${brokerFileNames.trust}`,
  ];
  return [
    gateways
      ? '# Devices: user name and client id are the subject of the certificate; a gateway’s CA can give none of another home.'
      : '# Devices: user name and client id are the CN of the certificate, whatever else they say.',
    `listener ${ports.devices}`,
    'protocol mqtt',
    'plugin_use access',
    `max_connections ${limits.connections.devices}`,
    ...server(folder, brokerFileNames.serverCertificate, brokerFileNames.serverKey),
    ...(role === 'home' ? [`cafile ${folder}/${brokerFileNames.devicesCa}`] : []),
    ...(role === 'activation' || gateways ? trusted : []),
    'require_certificate true',
    gateways ? 'use_subject_as_username true' : 'use_identity_as_username true',
    'use_username_as_clientid true',
  ];
}

function controllers({ ports, limits, folder }: MosquittoConfOptions): string[][] {
  const listener = (port: number, protocol: string): string[] => [
    `listener ${port}`,
    `protocol ${protocol}`,
    'plugin_use access',
    `max_connections ${limits.connections.controllers}`,
    ...server(folder, brokerFileNames.serverCertificate, brokerFileNames.serverKey),
    '# A client id of its own choice could be a device’s, whose session and messages it would take over.',
    'use_username_as_clientid true',
  ];
  return [
    ['# Controllers: a user name `<name>@<home>` and its password.', ...listener(ports.controllers, 'mqtt')],
    listener(ports.controllersWebSocket, 'websockets'),
  ];
}

function services({ ports, limits, folder }: MosquittoConfOptions): string[] {
  return [
    '# Services: certificates of their own CA, which no device or controller has one of.',
    `listener ${ports.services}`,
    'protocol mqtt',
    'plugin_use services',
    `max_connections ${limits.connections.services}`,
    ...server(folder, brokerFileNames.servicesCertificate, brokerFileNames.servicesKey),
    `cafile ${folder}/${brokerFileNames.servicesCa}`,
    'require_certificate true',
    '# The whole subject, which is no device’s id.',
    'use_subject_as_username true',
  ];
}

function server(folder: string, certificate: string, key: string): string[] {
  return [
    'accept_protocol_versions 4, 5',
    'tls_version tlsv1.2',
    `ciphers ${ciphers}`,
    `certfile ${folder}/${certificate}`,
    `keyfile ${folder}/${key}`,
  ];
}
