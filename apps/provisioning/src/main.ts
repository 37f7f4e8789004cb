import 'reflect-metadata';
import { loadServiceConfig, readServiceFiles, readTlsFile, requireEncryptionKey } from '@mqtt2go/config';
import { loadPlugins } from '@mqtt2go/plugin-api';
import { SystemClock } from '@mqtt2go/ports';
import { openBrokers } from '@mqtt2go/profiles';
import { Revision1Plugin } from '@mqtt2go/revision-1';
import { createLogger, type Running, runMain, serveService } from '@mqtt2go/runtime';
import { startProvisioning } from './start-provisioning.js';

const name = 'provisioning';

runMain(name, serve);

async function serve(): Promise<Running> {
  const config = loadServiceConfig(process.env);
  const { databaseUrl } = config;
  const log = createLogger(config.log);
  const clock = new SystemClock();
  const encryptionKey = requireEncryptionKey(config);
  const files = await readServiceFiles(config.tlsDir, name);
  const root = await readTlsFile(config.tlsDir, 'ca.crt');
  const brokers = openBrokers({ config, service: name, files, clock, log });
  const { bus, home } = brokers;
  const plugins = await loadPlugins({ names: config.plugins, builtIn: { 'revision-1': Revision1Plugin }, log });
  try {
    await plugins.start();
    const service = await serveService({
      name,
      log,
      healthHost: config.healthBind,
      healthPort: config.ports.health,
      needs: { database: databaseUrl, ...brokers.needs('home') },
      start: () =>
        startProvisioning({
          log,
          clock,
          databaseUrl,
          busLink: bus.link,
          sharedBus: bus.sharing !== undefined,
          homeBrokers: home,
          discovery: config.profile.discovery ? { url: config.discoveryUrl, ca: root, ...files.service } : undefined,
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
