import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AedesBrokerAdmin } from '@mqtt2go/broker-admin-aedes';
import { loadServiceConfig, requireEncryptionKey } from '@mqtt2go/config';
import { tlsLink } from '@mqtt2go/messaging';
import { SystemClock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { createLogger, type Running, runMain, serveService } from '@mqtt2go/runtime';
import { startTopicGenerator } from './start-topic-generator.js';

const name = 'topic-generator';

runMain(name, serve);

async function serve(): Promise<Running> {
  const config = loadServiceConfig(process.env);
  const { databaseUrl, busUrl, homeBrokerUrl, publicHost, ports } = config;
  const log = createLogger(config.log);
  const encryptionKey = requireEncryptionKey(config);
  const tls = await readTlsFiles(config.tlsDir);
  const link = (url: string) => tlsLink({ url, ...tls, clientId: name });
  const started: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const each of started.splice(0).reverse()) await each();
  };
  try {
    const brokerAdmin = new AedesBrokerAdmin(link(homeBrokerUrl));
    started.push(() => brokerAdmin.close());
    const service = await serveService({
      name,
      log,
      healthPort: ports.health,
      needs: { database: databaseUrl, bus: busUrl, 'home broker': homeBrokerUrl },
      start: () =>
        startTopicGenerator({
          log,
          clock: new SystemClock(),
          databaseUrl,
          busLink: link(busUrl),
          brokerAdmin,
          encryptionKey: Buffer.from(encryptionKey).toString('base64'),
          controllerUrl: `mqtts://${publicHost}:${ports.home}`,
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

/** The service's own certificate, and the CA of the brokers' doors for services. */
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
    throw new Mqtt2goError('configuration_invalid', `MQTT2GO_TLS_DIR: ${reason}`, { cause });
  }
}
