import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AedesBrokerAdmin } from '@mqtt2go/broker-admin-aedes';
import { loadServiceConfig } from '@mqtt2go/config';
import { tlsLink } from '@mqtt2go/messaging';
import { loadPlugins } from '@mqtt2go/plugin-api';
import { SystemClock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Revision1Plugin } from '@mqtt2go/revision-1';
import { createLogger, type Running, runMain, serveService } from '@mqtt2go/runtime';
import { startDiscovery } from './start-discovery.js';

const name = 'discovery';

runMain(name, serve);

async function serve(): Promise<Running> {
  const config = loadServiceConfig(process.env);
  const { databaseUrl, busUrl, activationBrokerUrl, bind, ports } = config;
  const log = createLogger(config.log);
  const encryptionKey = encryptionKeyOf(config.encryptionKey);
  const tls = await readTlsFiles(config.tlsDir);
  const link = (url: string) => tlsLink({ url, ca: tls.servicesCa, ...tls.service, clientId: name });
  const started: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const each of started.splice(0).reverse()) await each();
  };
  try {
    const plugins = await loadPlugins({ names: config.plugins, builtIn: { 'revision-1': Revision1Plugin }, log });
    started.push(() => plugins.stop());
    await plugins.start();
    const brokerAdmin = new AedesBrokerAdmin(link(activationBrokerUrl));
    started.push(() => brokerAdmin.close());
    const service = await serveService({
      name,
      log,
      healthPort: ports.health,
      needs: { database: databaseUrl, bus: busUrl, 'activation broker': activationBrokerUrl },
      start: () =>
        startDiscovery({
          log,
          clock: new SystemClock(),
          databaseUrl,
          busLink: link(busUrl),
          activationLink: link(activationBrokerUrl),
          brokerAdmin,
          encryptionKey,
          plugins,
          rest: { host: bind, port: ports.discovery, ca: tls.servicesCa, ...tls.server },
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

function encryptionKeyOf(key: Uint8Array | undefined): string {
  if (key === undefined) {
    throw new Mqtt2goError(
      'configuration_invalid',
      'neither MQTT2GO_KEY nor MQTT2GO_KEY_FILE is set; one of them has to give 32 bytes in base64',
    );
  }
  return Buffer.from(key).toString('base64');
}

interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** The service's own certificate, that of its HTTPS side, and the CA of services. */
async function readTlsFiles(tlsDir: string): Promise<{ servicesCa: string; service: Identity; server: Identity }> {
  const read = (...path: string[]) => readFile(join(tlsDir, ...path), 'utf8');
  const identity = async (...path: string[]): Promise<Identity> => {
    const file = path.pop();
    const [cert, key] = await Promise.all([read(...path, `${file}.crt`), read(...path, `${file}.key`)]);
    return { cert, key };
  };
  try {
    const [servicesCa, service, server] = await Promise.all([
      read('services-ca.crt'),
      identity('services', name),
      identity('discovery'),
    ]);
    return { servicesCa, service, server };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Mqtt2goError('configuration_invalid', `MQTT2GO_TLS_DIR: ${reason}`, { cause });
  }
}
