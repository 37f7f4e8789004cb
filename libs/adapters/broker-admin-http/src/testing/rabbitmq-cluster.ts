import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  createNetwork,
  injectedImages,
  type RunningContainer,
  startContainer,
  type TestIdentity,
  waitFor,
} from '@mqtt2go/testing';
import { rabbitmqFiles } from '../rabbitmq/rabbitmq-files.js';

const folder = '/etc/mqtt2go';
const ports = { devices: 8883, services: 8887, webSocket: 8884, management: 15671 };

/** For a test machine: one scheduler, little memory, and a small log of the consensus. */
const small = ['raft.wal_max_size_bytes = 16000000', 'raft.segment_max_entries = 2048', 'log.console.level = error'];

export interface RabbitMqCluster {
  readonly nodes: readonly RunningContainer[];
  /** Where containers reach this machine. */
  readonly gateway: string;
  readonly managementUrls: readonly string[];
  /** The devices' port of a node, on 127.0.0.1. */
  devicesPort(node: number): number;
  servicesPort(node: number): number;
  webSocketPort(node: number): number;
  /** Resolves when all nodes that run know each other and listen. */
  formed(size: number): Promise<void>;
  remove(): Promise<void>;
}

/** An address of this machine that containers of a new network reach. */
export async function openNetwork() {
  const network = await createNetwork();
  const format = '{{(index .IPAM.Config 0).Gateway}}';
  const { stdout } = await promisify(execFile)('docker', ['network', 'inspect', '--format', format, network.name]);
  return { network, gateway: stdout.trim() };
}

export interface RabbitMqClusterOptions {
  readonly network: Awaited<ReturnType<typeof openNetwork>>;
  /** Where this machine answers, at the network's gateway. */
  readonly authPort: number;
  /** PEM of the CAs of devices and of services. */
  readonly ca: string;
  readonly servicesCa: string;
  /** For localhost and 127.0.0.1: what devices see, and what services (that call it localhost) and the access endpoint do. */
  readonly server: TestIdentity;
  readonly broker: TestIdentity;
  /** Nodes; 3 unless set. */
  readonly size?: number;
}

/** A cluster of RabbitMQ nodes, not yet formed. */
export async function startRabbitMqCluster(options: RabbitMqClusterOptions): Promise<RabbitMqCluster> {
  const { network, authPort, ca, servicesCa, server, broker, size = 3 } = options;
  const image = injectedImages().bases.rabbitmq;
  if (image === undefined)
    throw new Error('no image of RabbitMQ: docker pull rabbitmq:4, or docker/offline/make.sh rabbitmq');
  const hosts = Array.from({ length: size }, (_, index) => `rabbit-${index}`);
  const files = rabbitmqFiles({
    hosts,
    serviceHosts: ['localhost', ...hosts],
    folder,
    authUrl: `https://${network.gateway}:${authPort}`,
    ca,
    servicesCa,
    limits: { memoryShare: 0.8, minFreeDiskBytes: 100_000_000 },
  });
  const shared = await mkdtemp(join(tmpdir(), 'mqtt2go-rabbitmq-'));
  const all: Record<string, string> = {
    ...files,
    'rabbitmq.conf': `${files['rabbitmq.conf']}${small.join('\n')}\n`,
    'server.crt': server.cert,
    'server.key': server.key,
    'broker.crt': broker.cert,
    'broker.key': broker.key,
    'erlang.cookie': randomBytes(20).toString('hex'),
  };
  await chmod(shared, 0o755);
  for (const [name, text] of Object.entries(all)) await writeFile(join(shared, name), text, { mode: 0o644 });
  const start = (host: string): Promise<RunningContainer> =>
    startContainer({
      image,
      name: host,
      networks: [network.network],
      aliases: [host],
      ports: Object.values(ports),
      mounts: [{ source: shared, target: folder, readOnly: true }],
      env: {
        RABBITMQ_NODENAME: `rabbit@${host}`,
        RABBITMQ_CONFIG_FILE: `${folder}/rabbitmq.conf`,
        RABBITMQ_ADVANCED_CONFIG_FILE: `${folder}/advanced.config`,
        RABBITMQ_ENABLED_PLUGINS_FILE: `${folder}/enabled_plugins`,
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +SDio 1 +A 4',
        RABBITMQ_LOGS: '-',
      },
      entrypoint: ['sh', '-c'],
      command: [`install -m 400 ${folder}/erlang.cookie /var/lib/rabbitmq/.erlang.cookie && exec rabbitmq-server`],
    });
  const nodes: RunningContainer[] = [];
  for (const host of hosts) nodes.push(await start(host));
  const portOf = (node: number, inside: number): number => {
    const container = nodes[node];
    if (container === undefined) throw new Error(`there is no node ${node}`);
    return container.port(inside);
  };
  return {
    nodes,
    gateway: network.gateway,
    managementUrls: nodes.map((node) => `https://127.0.0.1:${node.port(ports.management)}`),
    devicesPort: (node) => portOf(node, ports.devices),
    servicesPort: (node) => portOf(node, ports.services),
    webSocketPort: (node) => portOf(node, ports.webSocket),
    async formed(count) {
      await waitFor(() => isFormed(nodes, count), `a cluster of ${count}`, 240_000);
    },
    async remove() {
      await Promise.all(nodes.map((node) => node.remove()));
      await network.network.remove();
      await rm(shared, { recursive: true });
    },
  };
}

async function isFormed(nodes: readonly RunningContainer[], count: number): Promise<boolean> {
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  let ready = 0;
  for (const node of nodes) {
    if (!(await node.isRunning())) continue;
    const { code, output } = await node.exec([
      'rabbitmqctl',
      '--quiet',
      'eval',
      'io:format("~w ~w ~w", [rabbit:is_running(), length(rabbit_nodes:list_running()), length(rabbit_networking:listeners_of_protocol(\'mqtt/ssl\')) > 0]).',
    ]);
    if (code === 0 && output.includes(`true ${count} true`)) ready += 1;
  }
  return ready === count;
}
