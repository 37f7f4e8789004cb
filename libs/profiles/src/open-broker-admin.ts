import { AedesBrokerAdmin } from '@mqtt2go/broker-admin-aedes';
import { MosquittoBrokerAdmin } from '@mqtt2go/broker-admin-mosquitto';
import type { AccessBrokerConfig } from '@mqtt2go/config';
import type { BrokerLink } from '@mqtt2go/messaging';
import type { BrokerAdmin, Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Logger } from 'pino';

export interface BrokerAdminOptions {
  readonly broker: AccessBrokerConfig;
  readonly role: 'home' | 'activation';
  readonly link: BrokerLink;
  readonly clock: Clock;
  readonly log: Logger;
  /** The address to answer a broker's questions on. */
  readonly bind: string;
}

export interface OpenBrokerAdmin {
  readonly admin: BrokerAdmin;
  readonly close: () => Promise<void>;
}

/** The adapter for a broker's kind. */
export async function openBrokerAdmin({ broker, role, link, clock, log }: BrokerAdminOptions): Promise<OpenBrokerAdmin> {
  switch (broker.kind) {
    case 'embedded': {
      const admin = new AedesBrokerAdmin(link);
      return { admin, close: () => admin.close() };
    }
    case 'mosquitto': {
      const { accessDir } = broker;
      const admin = new MosquittoBrokerAdmin(link, {
        broker: role,
        log,
        clock,
        ...(accessDir === undefined ? {} : { accessDir }),
      });
      return { admin, close: () => admin.close() };
    }
    case 'http':
      throw new Mqtt2goError('configuration_invalid', `brokers of kind '${broker.kind}' are not available yet`);
  }
}
