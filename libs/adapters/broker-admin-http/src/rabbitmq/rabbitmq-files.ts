export interface RabbitMqFilesOptions {
  /** The cluster's nodes by their hosts' names, such as `rabbit-0`; three, so that one can be missing. */
  readonly hosts: readonly string[];
  /** Where the files and certificates are on each node. */
  readonly folder: string;
  /** The access endpoint, `https://host:port`; the host is in its certificate. */
  readonly authUrl: string;
  /** What services call the nodes, in `broker.crt`: asked for by such a name, a node shows that certificate. As `hosts` unless set. */
  readonly serviceHosts?: readonly string[];
  /** PEM: the root of devices' certificates, and the CA of services' certificates. */
  readonly ca: string;
  readonly servicesCa: string;
  readonly ports?: Partial<RabbitMqPorts>;
  readonly limits?: Partial<RabbitMqLimits>;
}

export interface RabbitMqPorts {
  /** Devices by certificate, controllers by password, over TLS. */
  readonly devices: number;
  /** The same listener once more, for the services: to be reachable from their network only. */
  readonly services: number;
  /** Controllers by password, over WebSocket and TLS. */
  readonly webSocket: number;
  /** The management API, for callers with a service's certificate. */
  readonly management: number;
}

export interface RabbitMqLimits {
  /** MQTT connections of a node. */
  readonly maxConnections: number;
  /** Bytes of a packet; before its sender has signed in, 16 KiB. */
  readonly maxPacketBytes: number;
  /** Messages that wait in a session of a device or controller, the oldest dropped first; of a service 100 times as many. */
  readonly maxQueued: number;
  /** Share of the machine's (or container's) memory from which on publishers are held back, 0 to 1. */
  readonly memoryShare: number;
  /** Free disk space in bytes below which publishers are held back. */
  readonly minFreeDiskBytes: number;
}

const defaultPorts: RabbitMqPorts = { devices: 8883, services: 8887, webSocket: 8884, management: 15671 };
const defaultLimits: RabbitMqLimits = {
  maxConnections: 50_000,
  maxPacketBytes: 262_144,
  maxQueued: 1_000,
  memoryShare: 0.6,
  minFreeDiskBytes: 1_000_000_000,
};

const plugins = ['rabbitmq_auth_backend_http', 'rabbitmq_management', 'rabbitmq_mqtt', 'rabbitmq_web_mqtt'];

/**
 * The configuration of a RabbitMQ 4.3 cluster whose access {@link HttpBrokerAdmin} answers; the same on all nodes. To be
 * put in `folder` beside `server.crt` and `server.key` (a server certificate for the public host, below `ca`), and
 * `broker.crt` and `broker.key` (the service certificate `broker`). The nodes share an Erlang cookie, which is a secret.
 * @returns texts by file name
 */
export function rabbitmqFiles(options: RabbitMqFilesOptions): Record<string, string> {
  return {
    'rabbitmq.conf': configuration(options),
    'advanced.config': advancedConfiguration(options),
    enabled_plugins: `[${plugins.join(',')}].\n`,
    'definitions.json': definitions(options),
    'client-ca.crt': `${options.ca.trimEnd()}\n${options.servicesCa.trimEnd()}\n`,
    'services-ca.crt': `${options.servicesCa.trimEnd()}\n`,
  };
}

function configuration(options: RabbitMqFilesOptions): string {
  const { hosts, folder, authUrl } = options;
  const ports = { ...defaultPorts, ...options.ports };
  const limits = { ...defaultLimits, ...options.limits };
  const file = (name: string): string => `${folder}/${name}`;
  const identity = (prefix: string, name: string, ca: string): string[] => [
    `${prefix}.certfile = ${file(`${name}.crt`)}`,
    `${prefix}.keyfile = ${file(`${name}.key`)}`,
    `${prefix}.cacertfile = ${file(ca)}`,
  ];
  const versions = (prefix: string): string[] => [`${prefix}.versions.1 = tlsv1.3`, `${prefix}.versions.2 = tlsv1.2`];
  return lines(
    '# No AMQP, no plain text: MQTT over TLS and the management API only.',
    'listeners.tcp = none',
    'listeners.ssl = none',
    'mqtt.listeners.tcp = none',
    `mqtt.listeners.ssl.devices = ${ports.devices}`,
    `mqtt.listeners.ssl.services = ${ports.services}`,
    `web_mqtt.ssl.port = ${ports.webSocket}`,
    'web_mqtt.ws_path = /',
    '',
    '# Controllers by password; the listeners for devices and services are in advanced.config.',
    ...identity('web_mqtt.ssl', 'server', 'client-ca.crt'),
    ...versions('web_mqtt.ssl'),
    '',
    "# A certificate's second URI: what its holder is, its name, and its serial number.",
    'mqtt.ssl_cert_login = true',
    'ssl_cert_login_from = subject_alternative_name',
    'ssl_cert_login_san_type = uri',
    'ssl_cert_login_san_index = 1',
    'mqtt.allow_anonymous = false',
    'mqtt.vhost = /',
    'mqtt.exchange = amq.topic',
    '# What is refused is told (MQTT 5) or dropped, as at the other brokers.',
    'mqtt.disconnect_on_unauthorized = false',
    '',
    '# Nobody but the platform knows who may come in: no other backend, no cache.',
    'auth_backends.1 = http',
    'auth_http.http_method = post',
    `auth_http.user_path = ${authUrl}/rabbitmq/user`,
    `auth_http.vhost_path = ${authUrl}/rabbitmq/vhost`,
    `auth_http.resource_path = ${authUrl}/rabbitmq/resource`,
    `auth_http.topic_path = ${authUrl}/rabbitmq/topic`,
    'auth_http.request_timeout = 8000',
    'auth_http.connection_timeout = 3000',
    ...identity('auth_http.ssl_options', 'broker', 'services-ca.crt'),
    'auth_http.ssl_options.verify = verify_peer',
    'auth_http.ssl_options.depth = 2',
    '',
    ...identity('management.ssl', 'broker', 'services-ca.crt').concat([
      `management.ssl.port = ${ports.management}`,
      'management.ssl.verify = verify_peer',
      'management.ssl.fail_if_no_peer_cert = true',
      ...versions('management.ssl'),
    ]),
    '',
    '# Sessions that outlive their connection are kept by most of the nodes, so that one can be missing. Messages are not',
    '# retained: each node would have its own.',
    'mqtt.durable_queue_type = quorum',
    'mqtt.retained_message_store = rabbit_mqtt_retained_msg_store_noop',
    'mqtt.max_session_expiry_interval_seconds = 86400',
    'mqtt.prefetch = 64',
    'mqtt.login_timeout = 10000',
    `mqtt.max_connections = ${limits.maxConnections}`,
    'mqtt.max_packet_size_unauthenticated = 16384',
    `mqtt.max_packet_size_authenticated = ${limits.maxPacketBytes}`,
    'mqtt.topic_alias_maximum = 8',
    `web_mqtt.max_connections = ${limits.maxConnections}`,
    `vm_memory_high_watermark.relative = ${limits.memoryShare}`,
    `disk_free_limit.absolute = ${limits.minFreeDiskBytes}`,
    '',
    'cluster_partition_handling = pause_minority',
    ...(hosts.length > 1 ? ['cluster_formation.peer_discovery_backend = classic_config'] : []),
    ...(hosts.length > 1 ? hosts : []).map(
      (host, index) => `cluster_formation.classic_config.nodes.${index + 1} = rabbit@${host}`,
    ),
    `load_definitions = ${file('definitions.json')}`,
    'log.console = true',
    'log.console.level = warning',
  );
}

/** What the simple form has no words for. */
function advancedConfiguration({ hosts, serviceHosts = hosts, folder }: RabbitMqFilesOptions): string {
  const identity = (name: string): string => `{certfile, "${folder}/${name}.crt"}, {keyfile, "${folder}/${name}.key"}`;
  const byName = serviceHosts.map((host) => `{"${host}", [${identity('broker')}]}`);
  return lines(
    '[',
    '  {rabbit, [{ssl_options, [',
    '    %% Devices and services by certificate; a controller has none, and a password instead.',
    `    ${identity('server')},`,
    `    {cacertfile, "${folder}/client-ca.crt"},`,
    '    {verify, verify_peer},',
    '    {fail_if_no_peer_cert, false},',
    '    {depth, 3},',
    "    {versions, ['tlsv1.3', 'tlsv1.2']},",
    '    %% Services trust their own CA only.',
    `    {sni_hosts, [${byName.join(', ')}]}`,
    '  ]}]},',
    "  %% Certificates' names have colons in them, which would be taken for the end of a virtual host's name.",
    '  {rabbitmq_mqtt, [{ignore_colons_in_username, true}]}',
    '].',
  );
}

function definitions({ limits }: RabbitMqFilesOptions): string {
  const { maxQueued } = { ...defaultLimits, ...limits };
  const sessions = (name: string, pattern: string, priority: number, max: number): object => ({
    vhost: '/',
    name,
    pattern,
    'apply-to': 'queues',
    priority,
    definition: { 'max-length': max, overflow: 'drop-head' },
  });
  const content = {
    vhosts: [{ name: '/' }],
    users: [],
    permissions: [],
    policies: [
      sessions('sessions', '^mqtt-subscription-', 0, maxQueued),
      sessions('services', '^mqtt-subscription-service:', 1, maxQueued * 100),
    ],
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function lines(...all: readonly string[]): string {
  return `${all.join('\n')}\n`;
}
