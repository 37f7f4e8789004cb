import 'reflect-metadata';
import { loadServiceConfig, readIdentity, readServiceFiles, requireEncryptionKey } from '@mqtt2go/config';
import { loadPlugins } from '@mqtt2go/plugin-api';
import { SystemClock } from '@mqtt2go/ports';
import { openBrokers } from '@mqtt2go/profiles';
import { Revision1Plugin } from '@mqtt2go/revision-1';
import { createLogger, type Running, runMain, serveService } from '@mqtt2go/runtime';
import { startDiscovery } from './start-discovery.js';

const name = 'discovery';

runMain(name, serve);

async function serve(): Promise<Running> {
  const config = loadServiceConfig(process.env);
  const { databaseUrl, bind, ports } = config;
  const log = createLogger(config.log);
  const clock = new SystemClock();
  const encryptionKey = Buffer.from(requireEncryptionKey(config)).toString('base64');
  const files = await readServiceFiles(config.tlsDir, name);
  const rest = config.profile.discovery
    ? { host: bind, port: ports.discovery, ca: files.servicesCa, ...(await readIdentity(config.tlsDir, name)) }
    : undefined;
  const brokers = openBrokers({ config, service: name, files, clock, log });
  const started: (() => Promise<unknown>)[] = [() => brokers.close()];
  const stop = async (): Promise<void> => {
    for (const each of started.splice(0).reverse()) await each();
  };
  try {
    const plugins = await loadPlugins({ names: config.plugins, builtIn: { 'revision-1': Revision1Plugin }, log });
    started.push(() => plugins.stop());
    await plugins.start();
    const { bus, activation } = brokers;
    const brokerAdmin = await brokers.activationAdmin();
    const service = await serveService({
      name,
      log,
      healthHost: config.healthBind,
      healthPort: ports.health,
      needs: { database: databaseUrl, ...brokers.needs('activation') },
      start: () =>
        startDiscovery({
          log,
          clock,
          databaseUrl,
          busLink: bus.link,
          activationLink: activation.link,
          brokerAdmin,
          encryptionKey,
          plugins,
          rest,
          sharedBus: bus.sharing !== undefined,
          activationSharing: activation.sharing,
          // Whether there are others, a process does not know.
          hasReplicas: true,
        }),
    });
    started.push(() => service.stop());
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}
