import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Principal } from '@mqtt2go/access';
import {
  type AccessBroker,
  accessBrokerOf,
  brokerFileNames,
  dynsecSnapshot,
  mosquittoFiles,
} from '@mqtt2go/broker-admin-mosquitto';
import { Authority, generateKeys, type IssuedCertificate, type KeyObject, writePrivateKey } from '@mqtt2go/pki';
import { tlsLink } from '@mqtt2go/messaging';
import { connectAsync } from 'mqtt';

const run = promisify(execFile);
const yearMs = 365 * 86_400_000;
const ports = { devices: 8883, services: 8887 } as const;

export interface Credentials {
  readonly cert: string;
  readonly key: string;
}

/** A home broker in a container of its own, configured as in production, that knows `principals` from its start. */
export class MosquittoContainer {
  private constructor(
    readonly access: AccessBroker,
    private readonly id: string,
    private readonly folder: string,
    private readonly root: Authority,
    private readonly services: Authority,
    private readonly published: Readonly<Record<keyof typeof ports, number>>,
  ) {}

  static async start(image: string, principals: Iterable<Principal>, gateways: boolean): Promise<MosquittoContainer> {
    const [root, services] = await Promise.all([authority('root'), authority('services')]);
    const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-bench-broker-'));
    await mkdir(join(folder, brokerFileNames.trust), { recursive: true });
    const server = await identity(root, (publicKey, nowMs) =>
      root.issueServer({ commonName: 'broker', hosts: ['127.0.0.1'], publicKey, nowMs }),
    );
    const door = await identity(services, (publicKey, nowMs) =>
      services.issueService({ service: 'broker', hosts: ['127.0.0.1'], publicKey, nowMs }),
    );
    const access = accessBrokerOf('home', gateways);
    const files: Record<string, string> = {
      ...mosquittoFiles({ name: 'bench', role: 'home', gateways }),
      [brokerFileNames.serverCertificate]: server.cert,
      [brokerFileNames.serverKey]: server.key,
      [brokerFileNames.devicesCa]: root.certificate,
      [brokerFileNames.servicesCertificate]: door.cert,
      [brokerFileNames.servicesKey]: door.key,
      [brokerFileNames.servicesCa]: services.certificate,
      [brokerFileNames.snapshot]: await dynsecSnapshot(principals, access),
    };
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    // The broker's user is another one; it is a bench's, with keys that are worth nothing.
    for (const path of [folder, join(folder, 'access'), join(folder, brokerFileNames.trust)]) await chmod(path, 0o755);
    const publish = Object.values(ports).flatMap((port) => ['--publish', `127.0.0.1:0:${port}`]);
    const { stdout } = await run('docker', [
      ...['run', '--detach', '--rm', '--label', 'mqtt2go.bench=access', ...publish],
      ...['--volume', `${folder}:/mosquitto/config:ro`, image],
    ]);
    const id = stdout.trim();
    const port = async (inside: number): Promise<number> =>
      Number((await run('docker', ['port', id, `${inside}/tcp`])).stdout.trim().split('\n')[0]?.split(':').at(-1));
    const published = { devices: await port(ports.devices), services: await port(ports.services) };
    const broker = new MosquittoContainer(access, id, folder, root, services, published);
    await broker.untilUp();
    return broker;
  }

  get deviceUrl(): string {
    return `mqtts://127.0.0.1:${this.published.devices}`;
  }

  get ca(): string {
    return this.root.certificate;
  }

  async link(service: string): Promise<ReturnType<typeof tlsLink>> {
    const own = await identity(this.services, (publicKey, nowMs) =>
      this.services.issueService({ service, hosts: ['127.0.0.1'], publicKey, nowMs }),
    );
    const url = `mqtts://127.0.0.1:${this.published.services}`;
    return tlsLink({ url, ca: this.services.certificate, ...own, clientId: service });
  }

  device(deviceId: string): Promise<Credentials> {
    return identity(this.root, (publicKey, nowMs) => this.root.issueDevice({ deviceId, publicKey, nowMs }));
  }

  /** Resident memory in MB (10^6 bytes). */
  async residentMb(): Promise<number> {
    const { stdout } = await run('docker', ['inspect', '--format', '{{.State.Pid}}', this.id]);
    const { stdout: status } = await run('cat', [`/proc/${stdout.trim()}/status`]);
    return (Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024) / 1e6;
  }

  async stop(): Promise<void> {
    await run('docker', ['rm', '--force', this.id]);
    await rm(this.folder, { recursive: true, force: true });
  }

  private async untilUp(): Promise<void> {
    const { cert, key } = await this.device('bench-knock');
    for (let tries = 200; ; tries -= 1) {
      try {
        const options = { ca: this.ca, cert, key, reconnectPeriod: 0, connectTimeout: 5_000 };
        await (await connectAsync(this.deviceUrl, options, false)).endAsync(true);
        return;
      } catch (error) {
        if (tries === 0) throw new Error('the broker did not come up', { cause: error });
        await delay(100);
      }
    }
  }
}

async function authority(commonName: string): Promise<Authority> {
  return Authority.createRoot({ commonName, keys: await generateKeys(), nowMs: Date.now(), validityMs: yearMs });
}

async function identity(
  issuer: Authority,
  issue: (publicKey: KeyObject, nowMs: number) => IssuedCertificate,
): Promise<Credentials> {
  const { privateKey, publicKey } = await generateKeys();
  return { cert: issuer.withChain(issue(publicKey, Date.now()).pem), key: writePrivateKey(privateKey) };
}
