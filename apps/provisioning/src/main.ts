import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadServiceConfig } from '@mqtt2go/config';
import { tlsLink } from '@mqtt2go/messaging';
import { loadPlugins } from '@mqtt2go/plugin-api';
import { SystemClock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Revision1Plugin } from '@mqtt2go/revision-1';
import { createLogger, type Running, runMain, serveService } from '@mqtt2go/runtime';
import { startProvisioning } from './start-provisioning.js';

const name = 'provisioning';

runMain(name, serve);

async function serve(): Promise<Running> {
  const config = loadServiceConfig(process.env);
  const log = createLogger(config.log);
  const { encryptionKey } = config;
  if (encryptionKey === undefined) {
    throw new Mqtt2goError(
      'configuration_invalid',
      'neither MQTT2GO_KEY nor MQTT2GO_KEY_FILE is set; one of them has to give 32 bytes in base64',
    );
  }
  const { root, ca, cert, key } = await readTlsFiles(config.tlsDir);
  const { databaseUrl, busUrl, homeBrokerUrl } = config;
  const plugins = await loadPlugins({ names: config.plugins, builtIn: { 'revision-1': Revision1Plugin }, log });
  try {
    await plugins.start();
    const service = await serveService({
      name,
      log,
      healthPort: config.ports.health,
      needs: { database: databaseUrl, bus: busUrl, 'home broker': homeBrokerUrl },
      start: () =>
        startProvisioning({
          log,
          clock: new SystemClock(),
          databaseUrl,
          busLink: tlsLink({ url: busUrl, ca, cert, key, clientId: name }),
          homeLink: tlsLink({ url: homeBrokerUrl, ca, cert, key, clientId: name }),
          discovery: { url: config.discoveryUrl, ca: root, cert, key },
          homeBroker: { host: config.publicHost, port: config.ports.home },
          encryptionKey,
          plugins,
        }),
    });
    return {
      async stop() {
        await service.stop();
        await plugins.stop();
      },
    };
  } catch (error) {
    await plugins.stop();
    throw error;
  }
}

async function readTlsFiles(tlsDir: string): Promise<{ root: string; ca: string; cert: string; key: string }> {
  const read = (...path: string[]): Promise<string> => readFile(join(tlsDir, ...path), 'utf8');
  try {
    const [root, ca, cert, key] = await Promise.all([
      read('ca.crt'),
      read('services-ca.crt'),
      read('services', `${name}.crt`),
      read('services', `${name}.key`),
    ]);
    return { root, ca, cert, key };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Mqtt2goError('configuration_invalid', `MQTT2GO_TLS_DIR: ${reason}`, { cause });
  }
}
