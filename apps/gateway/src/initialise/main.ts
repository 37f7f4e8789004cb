import 'reflect-metadata';
import {
  deploymentFolder,
  type Environment,
  loadDeploymentConfig,
  loadSecretFiles,
  loadServiceConfig,
  runnableServices,
  smallBrokersFile,
} from '@mqtt2go/config';
import { PUBLIC_FILE_MODE, writeFileAtomically } from '@mqtt2go/pki';
import { SystemClock } from '@mqtt2go/ports';
import { createLogger, type Running, runMain } from '@mqtt2go/runtime';
import { runBrokerCommand } from './broker-command.js';
import { plannedBrokers, writeDeployment } from './deployment-folder.js';
import { deploymentFolders } from './kubernetes-secrets.js';
import { migrateAll } from './migrate-all.js';
import { makeSecrets } from './secrets.js';
import { withKubernetesSecrets } from './with-kubernetes-secrets.js';

const log = createLogger({ level: 'info', format: process.env.MQTT2GO_LOG_FORMAT === 'pretty' ? 'pretty' : 'json' });

/** Each does its work and ends, unless it gives what is to be stopped; without a command it is `deployment`. */
const commands: Readonly<Record<string, (env: Environment, args: readonly string[]) => Promise<Running | void>>> = {
  /** Everything that the processes read from files. */
  deployment: async (env) => {
    const brokers = plannedBrokers(loadServiceConfig(env)).map(({ name }) => name);
    const folders = deploymentFolders(runnableServices, brokers);
    // In a cluster the encryption key may come from there.
    await withKubernetesSecrets({ env, root: deploymentFolder(env), folders, log }, async (complete) => {
      const config = loadDeploymentConfig(complete);
      await writeDeployment({ config, clock: new SystemClock(), log });
      await migrateAll({ databaseUrl: config.databaseUrl, log });
    });
  },
  /** What goes before the database: its password, the encryption key, the brokers file. */
  prepare: async (env) => {
    await makeSecrets(loadSecretFiles(env), log);
    const { file, content } = smallBrokersFile(env);
    if (file === undefined) return;
    await writeFileAtomically(file, content, PUBLIC_FILE_MODE);
    log.info({ file }, 'the brokers file is written');
  },
  /** What one broker reads, put together beside it; `--watch`: its access is kept up to date. */
  broker: (env, args) => runBrokerCommand(env, args.includes('--watch'), log),
};

const [name = 'deployment', ...args] = process.argv.slice(2);
const command = commands[name];
if (command === undefined) {
  process.stderr.write(`initialise: '${name}' is no command; there are: ${Object.keys(commands).join(', ')}\n`);
  process.exitCode = 1;
} else {
  runMain('initialise', async (): Promise<Running> => {
    const running = await command(process.env, args);
    return running ?? { stop: async () => undefined };
  });
}
