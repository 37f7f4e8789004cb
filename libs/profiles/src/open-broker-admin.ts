import { readFile } from 'node:fs/promises';
import { AedesBrokerAdmin } from '@mqtt2go/broker-admin-aedes';
import { HttpBrokerAdmin } from '@mqtt2go/broker-admin-http';
import { accessBrokerOf, MosquittoBrokerAdmin } from '@mqtt2go/broker-admin-mosquitto';
import type { AccessBrokerConfig, HomeBrokerConfig, ServiceFiles } from '@mqtt2go/config';
import type { BrokerLink } from '@mqtt2go/messaging';
import type { BrokerAdmin, Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Logger } from 'pino';

export interface BrokerAdminOptions {
  readonly broker: AccessBrokerConfig | HomeBrokerConfig;
  readonly role: 'home' | 'activation';
  readonly link: BrokerLink;
  readonly clock: Clock;
  readonly log: Logger;
  /** The address to answer a broker's questions on. */
  readonly bind: string;
  /** Of the service that keeps the access. */
  readonly files: ServiceFiles;
}

export interface OpenBrokerAdmin {
  readonly admin: BrokerAdmin;
  readonly close: () => Promise<void>;
}

/** The adapter for a broker's kind. */
export async function openBrokerAdmin(options: BrokerAdminOptions): Promise<OpenBrokerAdmin> {
  const { broker, role, link, clock, log } = options;
  switch (broker.kind) {
    case 'embedded': {
      const admin = new AedesBrokerAdmin(link);
      return { admin, close: () => admin.close() };
    }
    case 'mosquitto': {
      const { accessDir } = broker;
      const admin = new MosquittoBrokerAdmin(link, {
        broker: accessBrokerOf(role, 'gateways' in broker && broker.gateways),
        log,
        clock,
        ...(accessDir === undefined ? {} : { accessDir }),
      });
      return { admin, close: () => admin.close() };
    }
    case 'http': {
      const admin = await openHttpAdmin(options);
      return { admin, close: () => admin.close() };
    }
  }
}

async function openHttpAdmin({ broker, role, clock, log, bind, files }: BrokerAdminOptions): Promise<HttpBrokerAdmin> {
  const { management, authPort } = broker;
  if (role !== 'home' || management === undefined || authPort === undefined) {
    throw new Error('unreachable: the brokers file is checked for it');
  }
  const { user, password } = await readUserFile(management.userFile);
  return HttpBrokerAdmin.open({
    role,
    broker: management.kind,
    endpoint: { host: bind, port: authPort, ca: files.servicesCa, ...files.service },
    management: {
      urls: management.urls,
      user,
      password,
      ca: management.caFile === undefined ? files.servicesCa : await readSetFile(management.caFile),
      ...files.service,
    },
    clock,
    log,
  });
}

/** `user:password` */
async function readUserFile(file: string): Promise<{ user: string; password: string }> {
  const text = (await readSetFile(file)).trim();
  const at = text.indexOf(':');
  if (at < 1 || at === text.length - 1) {
    throw new Mqtt2goError('configuration_invalid', `MQTT2GO_BROKERS: ${file} does not hold user:password`);
  }
  return { user: text.slice(0, at), password: text.slice(at + 1) };
}

async function readSetFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Mqtt2goError('configuration_invalid', `MQTT2GO_BROKERS: ${reason}`, { cause });
  }
}
