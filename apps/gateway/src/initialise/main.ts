import 'reflect-metadata';
import {
  deploymentFolder,
  type Environment,
  loadDeploymentConfig,
  loadSecretFiles,
  loadServiceConfig,
  runnableServices,
} from '@mqtt2go/config';
import { SystemClock } from '@mqtt2go/ports';
import { createLogger, type Running, runMain } from '@mqtt2go/runtime';
import { plannedBrokers, writeDeployment } from './deployment-folder.js';
import { deploymentFolders } from './kubernetes-secrets.js';
import { makeSecrets } from './secrets.js';
import { withKubernetesSecrets } from './with-kubernetes-secrets.js';

const log = createLogger({ level: 'info', format: process.env.MQTT2GO_LOG_FORMAT === 'pretty' ? 'pretty' : 'json' });

/** Each does its work and ends; without a command it is `deployment`. */
const commands: Readonly<Record<string, (env: Environment) => Promise<void>>> = {
  /** Everything that the processes read from files. */
  deployment: async (env) => {
    const brokers = plannedBrokers(loadServiceConfig(env)).map(({ name }) => name);
    const folders = deploymentFolders(runnableServices, brokers);
    // In a cluster the encryption key may come from there.
    await withKubernetesSecrets({ env, root: deploymentFolder(env), folders, log }, (complete) =>
      writeDeployment({ config: loadDeploymentConfig(complete), clock: new SystemClock(), log }),
    );
  },
  /** Keys and passwords, for set-ups that have no other place for them. */
  secrets: (env) => makeSecrets(loadSecretFiles(env), log),
};

const [name = 'deployment'] = process.argv.slice(2);
const command = commands[name];
if (command === undefined) {
  process.stderr.write(`initialise: '${name}' is no command; there are: ${Object.keys(commands).join(', ')}\n`);
  process.exitCode = 1;
} else {
  runMain('initialise', async (): Promise<Running> => {
    await command(process.env);
    return { stop: async () => undefined };
  });
}
