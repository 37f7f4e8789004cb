import type { Environment } from '@mqtt2go/config';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Logger } from 'pino';
import { inClusterAddress, KubernetesApi } from './kubernetes-api.js';
import { keepEncryptionKey, KubernetesSecrets, publishDeployment, restoreDeployment } from './kubernetes-secrets.js';

/** What the Secrets' names begin with. */
export const SECRETS_VARIABLE = 'MQTT2GO_KUBERNETES_SECRETS';
/** The Secret with the key-encryption key, made when it is not there; not set when the key comes from elsewhere. */
export const KEY_SECRET_VARIABLE = 'MQTT2GO_KUBERNETES_KEY_SECRET';

export interface KubernetesDeployment {
  readonly env: Environment;
  /** The deployment's folder. */
  readonly root: string;
  /** As of `deploymentFolders`. */
  readonly folders: readonly string[];
  readonly log: Logger;
  /** The API server; that of the cluster that this pod is in by default. */
  readonly openApi?: (env: Environment) => Promise<KubernetesApi>;
}

/**
 * In a cluster (`MQTT2GO_KUBERNETES_SECRETS` is set): fills the deployment's folder from the Secrets, runs `initialise`
 * with the key-encryption key in its environment, writes what it made into the Secrets. Elsewhere it only runs it.
 * @throws Mqtt2goError `unavailable`, `configuration_invalid`; what `initialise` throws
 */
export async function withKubernetesSecrets(
  { env, root, folders, log, openApi = openClusterApi }: KubernetesDeployment,
  initialise: (env: Environment) => Promise<void>,
): Promise<void> {
  const prefix = env[SECRETS_VARIABLE] ?? '';
  if (prefix === '') return initialise(env);
  if (!/^[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?$/.test(prefix)) {
    const expectation = 'the beginning of names of Secrets: small letters, digits and -';
    throw new Mqtt2goError('configuration_invalid', `${SECRETS_VARIABLE} is '${prefix}'; it takes ${expectation}`);
  }
  const api = await openApi(env);
  try {
    const deployment = { secrets: new KubernetesSecrets(api, labelsOf(prefix)), prefix, root, folders };
    const key = await encryptionKey(api, env);
    await restoreDeployment(deployment);
    await initialise(key === undefined ? env : { ...env, MQTT2GO_KEY: key });
    const changed = await publishDeployment(deployment);
    log.info({ namespace: api.namespace, changed }, 'the Secrets are in order');
  } finally {
    api.close();
  }
}

async function openClusterApi(env: Environment): Promise<KubernetesApi> {
  return new KubernetesApi(await inClusterAddress(env));
}

/** Without the labels of the others: whoever deletes those by their label keeps the key. */
async function encryptionKey(api: KubernetesApi, env: Environment): Promise<string | undefined> {
  const name = env[KEY_SECRET_VARIABLE] ?? '';
  return name === ''
    ? undefined
    : keepEncryptionKey(new KubernetesSecrets(api, { 'app.kubernetes.io/part-of': 'mqtt2go' }), name);
}

function labelsOf(prefix: string): Record<string, string> {
  return { 'app.kubernetes.io/part-of': 'mqtt2go', 'mqtt2go.io/deployment': prefix };
}
