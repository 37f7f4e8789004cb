import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Authority, generateKeys, writePrivateKey } from '@mqtt2go/pki';
import {
  createNetwork,
  injectedImages,
  type Mount,
  type PublishedPort,
  type RunningContainer,
  startContainer,
  type TestNetwork,
} from '@mqtt2go/testing';
import { type Json, type Objects, type Pod } from '../../../../../../tools/chart-tests/support/chart.mjs';

const apiServer = fileURLToPath(new URL('./api-server.mjs', import.meta.url));
const apiHost = 'kubernetes';

/** A pod that runs: a container for each of the pod's. */
export interface RunningPod {
  container(name: string): RunningContainer;
  remove(): Promise<void>;
}

/**
 * Does with rendered pods what a kubelet does, as far as Docker can: users, read-only root file systems, dropped
 * capabilities, volumes from Secrets and ConfigMaps, init containers, variables, names of Services. Schedulers, probes,
 * network policies and rolling updates are not here.
 */
export class PodRunner {
  readonly #removals: (() => Promise<unknown>)[] = [];
  readonly #volumes = new Map<string, string>();

  private constructor(
    readonly root: string,
    readonly inside: TestNetwork,
    /** What can be reached from this machine. */
    readonly outside: TestNetwork,
  ) {}

  static async start(): Promise<PodRunner> {
    const root = await mkdtemp(join(tmpdir(), 'mqtt2go-pods-'));
    await chmod(root, 0o755);
    const runner = new PodRunner(root, await createNetwork(), await createNetwork());
    await runner.#startApi();
    return runner;
  }

  async #startApi(): Promise<void> {
    const nowMs = Date.now();
    const [keys, serverKeys] = await Promise.all([generateKeys(), generateKeys()]);
    const authority = Authority.createRoot({ commonName: 'cluster', keys, nowMs, validityMs: 86_400_000 });
    const server = authority.issueServer({
      commonName: apiHost,
      hosts: [apiHost],
      publicKey: serverKeys.publicKey,
      nowMs,
    });
    await this.write('api/server.crt', server.pem);
    await this.write('api/server.key', writePrivateKey(serverKeys.privateKey));
    await this.write('api/token', 'the-token');
    await this.write('account/ca.crt', authority.certificate);
    await this.write('account/token', 'the-token');
    await this.write('account/namespace', 'homes');
    await cp(apiServer, join(this.root, 'api', 'server.mjs'));
    await this.#folder('secrets');
    const container = await startContainer({
      image: injectedImages().bases.node,
      name: 'api-server',
      entrypoint: ['node', '/api/server.mjs'],
      readOnly: true,
      networks: [this.inside],
      aliases: [apiHost],
      mounts: [
        { source: join(this.root, 'api'), target: '/api', readOnly: true },
        { source: join(this.root, 'secrets'), target: '/secrets' },
      ],
      ready: /listening/,
    });
    this.#removals.push(() => container.remove());
  }

  /** A Secret that is rendered, or that `initialise` wrote; decoded. */
  async secret(name: string): Promise<Record<string, string>> {
    const data: Record<string, string> = JSON.parse(await readFile(join(this.root, 'secrets', `${name}.json`), 'utf8'));
    return Object.fromEntries(
      Object.entries(data).map(([entry, value]) => [entry, Buffer.from(value, 'base64').toString('utf8')]),
    );
  }

  async apply(objects: Objects): Promise<void> {
    for (const { metadata, data } of objects.ofKind('Secret')) {
      await this.write(`secrets/${metadata.name}.json`, JSON.stringify(data));
    }
  }

  /**
   * Runs the pod's init containers to their end, then its containers.
   * @param ports what is published of the pod's ports
   */
  async run(objects: Objects, pod: Pod, ports: readonly (number | PublishedPort)[] = []): Promise<RunningPod> {
    const name = pod.owner.metadata.name;
    const started = new Map<string, RunningContainer>();
    const remove = async (): Promise<void> => {
      await Promise.all([...started.values()].map((container) => container.remove().catch(() => undefined)));
    };
    this.#removals.push(remove);
    for (const volume of pod.spec.volumes) await this.#makeVolume(objects, name, volume);
    for (const { metadata } of pod.owner.spec.volumeClaimTemplates ?? []) {
      await this.#folder(`claims/${name}-${metadata.name}`);
      this.#volumes.set(`${name}/${metadata.name}`, join(this.root, 'claims', `${name}-${metadata.name}`));
    }
    for (const container of pod.spec.initContainers ?? []) {
      const running = await this.#start(objects, pod, container, []);
      const status = await running.ended();
      const log = await running.logs();
      await running.remove();
      if (status !== 0) throw new Error(`${name}/${container.name} ended with ${status}:\n${log}`);
    }
    for (const container of pod.spec.containers) {
      const own = (container.ports ?? []).map(({ containerPort }: Json) => containerPort);
      const published = ports.filter((port) => own.includes(typeof port === 'number' ? port : port.inside));
      started.set(container.name, await this.#start(objects, pod, container, published));
    }
    return {
      container(wanted) {
        const container = started.get(wanted);
        if (container === undefined) throw new Error(`${name} has no container ${wanted}`);
        return container;
      },
      remove,
    };
  }

  async close(): Promise<void> {
    for (const removal of this.#removals.splice(0).reverse()) await removal().catch(() => undefined);
    await Promise.all([this.inside.remove(), this.outside.remove()]);
    // Some of it belongs to the containers' users; in a folder for temporary files it can stay.
    await rm(this.root, { recursive: true, force: true }).catch(() => undefined);
  }

  async #start(
    objects: Objects,
    pod: Pod,
    container: Json,
    ports: readonly (number | PublishedPort)[],
  ): Promise<RunningContainer> {
    const { runAsUser, runAsGroup } = pod.spec.securityContext;
    const isMain = pod.spec.containers[0] === container;
    const { aliases, networks } = isMain
      ? { aliases: servicesOf(objects, pod), networks: ports.length > 0 ? [this.inside, this.outside] : [this.inside] }
      : { aliases: [], networks: ports.length > 0 ? [this.inside, this.outside] : [this.inside] };
    return startContainer({
      image: imageOf(container),
      name: `${pod.component}-${container.name}`,
      ...(container.command === undefined ? {} : { entrypoint: container.command }),
      ...(container.args === undefined ? {} : { command: container.args }),
      user: `${runAsUser}:${runAsGroup}`,
      readOnly: container.securityContext.readOnlyRootFilesystem,
      env: await this.#variables(pod, container),
      mounts: this.#mounts(pod.owner.metadata.name, container),
      networks,
      aliases,
      ports,
    });
  }

  async #variables(pod: Pod, container: Json): Promise<Record<string, string>> {
    const found: Record<string, string> = { KUBERNETES_SERVICE_HOST: apiHost, KUBERNETES_SERVICE_PORT: '6443' };
    for (const { name, value, valueFrom } of container.env ?? []) {
      if (valueFrom?.secretKeyRef !== undefined) {
        const { name: secret, key } = valueFrom.secretKeyRef;
        found[name] = (await this.secret(secret))[key] ?? '';
      } else if (valueFrom?.fieldRef !== undefined) {
        found[name] = `${pod.owner.metadata.name}-0`;
      } else {
        found[name] = String(value).replaceAll(/\$\((\w+)\)/g, (whole, other) => found[other] ?? whole);
      }
    }
    return found;
  }

  #mounts(pod: string, container: Json): Mount[] {
    return container.volumeMounts.map(({ name, mountPath, readOnly, subPath }: Json) => {
      const source = this.#volumes.get(`${pod}/${name}`);
      if (source === undefined) throw new Error(`${pod} has no volume ${name}`);
      return { source: join(source, subPath ?? ''), target: mountPath, readOnly: readOnly ?? false };
    });
  }

  async #makeVolume(objects: Objects, pod: string, volume: Json): Promise<void> {
    const folder = await mkdtemp(join(await this.#folder('volumes'), `${volume.name}-`));
    // As fsGroup makes it: whoever runs in the pod may write.
    await chmod(folder, 0o777);
    this.#volumes.set(`${pod}/${volume.name}`, folder);
    if (volume.projected !== undefined) this.#volumes.set(`${pod}/${volume.name}`, join(this.root, 'account'));
    const { secret, configMap } = volume;
    if (secret === undefined && configMap === undefined) return;
    const data: Record<string, string> =
      secret === undefined ? objects.get('ConfigMap', configMap.name).data : await this.secret(secret.secretName);
    const items: { key: string; path: string }[] =
      (secret ?? configMap).items ?? Object.keys(data).map((key) => ({ key, path: key }));
    for (const { key, path } of items) {
      const content = data[key];
      // A kubelet does not start the pod then.
      if (content === undefined) throw new Error(`${pod}: ${volume.name} has no entry ${key}`);
      await this.write(join(folder.slice(this.root.length + 1), path), content);
    }
  }

  async #folder(path: string): Promise<string> {
    const folder = join(this.root, path);
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o777);
    return folder;
  }

  async write(path: string, content: string): Promise<void> {
    const file = join(this.root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { mode: 0o644 });
  }
}

function servicesOf(objects: Objects, pod: Pod): string[] {
  return objects
    .ofKind('Service')
    .filter(({ spec }) => Object.entries(spec.selector).every(([label, value]) => pod.metadata.labels[label] === value))
    .map(({ metadata }) => metadata.name);
}

/** The images of this run, in the place of those that a cluster would fetch. */
function imageOf({ image }: { image: string }): string {
  const { bases, programs } = injectedImages();
  if (image.includes('eclipse-mosquitto')) return bases.mosquitto;
  if (image.includes('postgres')) return bases.postgres;
  const program = programs[/^mqtt2go\/([a-z-]+):/.exec(image)?.[1] ?? ''];
  if (program === undefined) throw new Error(`there is no image for ${image}`);
  return program;
}
