import 'reflect-metadata';
import { loadServiceConfig, readIdentity, readServiceFiles, readTlsFile, requireEncryptionKey } from '@mqtt2go/config';
import { SystemClock } from '@mqtt2go/ports';
import { openBrokers } from '@mqtt2go/profiles';
import { createLogger, type Running, runMain, serveService } from '@mqtt2go/runtime';
import { startFederation } from './start-federation.js';

const name = 'federation';

runMain(name, serve);

/** The cloud's side. A gateway runs its own inside of its one process. */
async function serve(): Promise<Running> {
  const config = loadServiceConfig(process.env);
  const { databaseUrl, bind, ports, tlsDir } = config;
  const log = createLogger(config.log);
  const clock = new SystemClock();
  const encryptionKey = Buffer.from(requireEncryptionKey(config)).toString('base64');
  const files = await readServiceFiles(tlsDir, name);
  const [ca, server] = await Promise.all([readTlsFile(tlsDir, 'ca.crt'), readIdentity(tlsDir, name)]);
  const brokers = openBrokers({ config, service: name, files, clock, log });
  const { bus, home } = brokers;
  return serveService({
    name,
    log,
    healthHost: config.healthBind,
    healthPort: ports.health,
    needs: { database: databaseUrl, ...brokers.needs('home') },
    start: () =>
      startFederation({
        log,
        clock,
        databaseUrl,
        busLink: bus.link,
        encryptionKey,
        sharedBus: bus.sharing !== undefined,
        replica: config.replica,
        homeBrokers: home,
        cloud: {
          host: bind,
          port: ports.federation,
          url: config.federationUrl,
          ca,
          ...server,
          homeBrokers: home.map((broker) => ({ name: broker.name, host: broker.host, port: broker.port })),
        },
      }),
  });
}
