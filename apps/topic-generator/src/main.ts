import 'reflect-metadata';
import { loadServiceConfig, readServiceFiles, requireEncryptionKey } from '@mqtt2go/config';
import { SystemClock } from '@mqtt2go/ports';
import { openBrokers } from '@mqtt2go/profiles';
import { createLogger, type Running, runMain, serveService } from '@mqtt2go/runtime';
import { startTopicGenerator } from './start-topic-generator.js';

const name = 'topic-generator';

runMain(name, serve);

async function serve(): Promise<Running> {
  const config = loadServiceConfig(process.env);
  const { databaseUrl } = config;
  const log = createLogger(config.log);
  const clock = new SystemClock();
  const encryptionKey = Buffer.from(requireEncryptionKey(config)).toString('base64');
  const files = await readServiceFiles(config.tlsDir, name);
  const brokers = openBrokers({ config, service: name, files, clock, log });
  try {
    const { link: busLink, sharing } = brokers.bus;
    const homeBrokers = await brokers.homeAdmins();
    const service = await serveService({
      name,
      log,
      healthHost: config.healthBind,
      healthPort: config.ports.health,
      needs: { database: databaseUrl, ...brokers.needs('home') },
      start: () =>
        startTopicGenerator({
          log,
          clock,
          databaseUrl,
          busLink,
          homeBrokers,
          encryptionKey,
          sharedBus: sharing !== undefined,
          // Whether there are others, a process does not know.
          hasReplicas: true,
        }),
    });
    return {
      async stop() {
        await service.stop();
        await brokers.close();
      },
    };
  } catch (error) {
    await brokers.close();
    throw error;
  }
}
