import 'reflect-metadata';
import { loadServiceConfig, readServiceFiles, requireEncryptionKey } from '@mqtt2go/config';
import { SystemClock } from '@mqtt2go/ports';
import { openBrokers } from '@mqtt2go/profiles';
import { createLogger, type Running, runMain, serveService } from '@mqtt2go/runtime';
import { initialiseDeployment } from './deployment/initialise-deployment.js';
import { startCertificateAuthority } from './start-certificate-authority.js';

const name = 'certificate-authority';

/** `initialise` writes the folder `tls` for the platform's other processes, and ends; without it the service runs. */
const [command] = process.argv.slice(2);
if (command === undefined) runMain(name, serve);
else if (command === 'initialise') runMain(`${name} initialise`, initialise);
else {
  process.stderr.write(`${name}: '${command}' is no command; there is 'initialise', and none to run the service\n`);
  process.exitCode = 1;
}

async function serve(): Promise<Running> {
  const config = loadServiceConfig(process.env);
  const { databaseUrl } = config;
  const log = createLogger(config.log);
  const clock = new SystemClock();
  const encryptionKey = requireEncryptionKey(config);
  const files = await readServiceFiles(config.tlsDir, name);
  const brokers = openBrokers({ config, service: name, files, clock, log });
  const { link: busLink, sharing } = brokers.bus;
  return serveService({
    name,
    log,
    healthHost: config.healthBind,
    healthPort: config.ports.health,
    needs: { database: databaseUrl, ...brokers.needs() },
    start: () =>
      startCertificateAuthority({
        log,
        clock,
        databaseUrl,
        encryptionKey,
        busLink,
        sharedBus: sharing !== undefined,
      }),
  });
}

async function initialise(): Promise<Running> {
  const config = loadServiceConfig(process.env);
  const { databaseUrl, tlsDir, publicHost } = config;
  const log = createLogger(config.log);
  const encryptionKey = requireEncryptionKey(config);
  await initialiseDeployment({ databaseUrl, encryptionKey, tlsDir, publicHost, clock: new SystemClock(), log });
  log.info({ tlsDir }, 'the deployment is initialised');
  return { stop: async () => undefined };
}
