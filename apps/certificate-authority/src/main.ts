import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadServiceConfig, type ServiceConfig } from '@mqtt2go/config';
import { tlsLink } from '@mqtt2go/messaging';
import { SystemClock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
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
  const log = createLogger(config.log);
  const { ca, cert, key } = await readTlsFiles(config.tlsDir);
  const { databaseUrl, busUrl } = config;
  const encryptionKey = encryptionKeyOf(config);
  return serveService({
    name,
    log,
    healthPort: config.ports.health,
    needs: { database: databaseUrl, bus: busUrl },
    start: () =>
      startCertificateAuthority({
        log,
        clock: new SystemClock(),
        databaseUrl,
        encryptionKey,
        busLink: tlsLink({ url: busUrl, ca, cert, key, clientId: name }),
      }),
  });
}

async function initialise(): Promise<Running> {
  const config = loadServiceConfig(process.env);
  const { databaseUrl, tlsDir, publicHost } = config;
  const log = createLogger(config.log);
  const encryptionKey = encryptionKeyOf(config);
  await initialiseDeployment({ databaseUrl, encryptionKey, tlsDir, publicHost, clock: new SystemClock(), log });
  log.info({ tlsDir }, 'the deployment is initialised');
  return { stop: async () => undefined };
}

function encryptionKeyOf({ encryptionKey }: ServiceConfig): Uint8Array {
  if (encryptionKey === undefined) {
    throw new Mqtt2goError(
      'configuration_invalid',
      'neither MQTT2GO_KEY nor MQTT2GO_KEY_FILE is set; one of them has to give 32 bytes in base64',
    );
  }
  return encryptionKey;
}

async function readTlsFiles(tlsDir: string): Promise<{ ca: string; cert: string; key: string }> {
  const read = (...path: string[]) => readFile(join(tlsDir, ...path), 'utf8');
  try {
    const [ca, cert, key] = await Promise.all([
      read('services-ca.crt'),
      read('services', `${name}.crt`),
      read('services', `${name}.key`),
    ]);
    return { ca, cert, key };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Mqtt2goError('configuration_invalid', `MQTT2GO_TLS_DIR: ${reason}; '${name} initialise' writes it`, {
      cause,
    });
  }
}
