import { duplexPair } from 'node:stream';
import { Aedes, type AedesOptions } from 'aedes';
import { type BrokerLink, streamLink } from '@mqtt2go/messaging';

export interface TestBroker {
  readonly aedes: Aedes;
  /** A way to the broker inside the process. */
  link(clientId: string): BrokerLink;
  /** Cuts all connections; clients come again by themselves, unless `refuse` was set. */
  disconnectAll(): void;
  /** While true, new connections fail as if nothing listened. */
  refuse: boolean;
  close(): Promise<void>;
}

/** A plain broker in the process: sessions are kept in memory, everything is allowed unless `options` say otherwise. */
export async function startTestBroker(options: AedesOptions = {}): Promise<TestBroker> {
  const aedes = await Aedes.createBroker(options);
  const streams = new Set<{ destroy(): unknown }>();
  const broker: TestBroker = {
    aedes,
    refuse: false,
    link: (clientId) =>
      streamLink({
        address: 'in-process test',
        clientId,
        connect: () => {
          if (broker.refuse) {
            throw new Error('connection refused');
          }
          const [client, server] = duplexPair();
          streams.add(client);
          client.once('close', () => {
            streams.delete(client);
            server.destroy();
          });
          server.once('close', () => client.destroy());
          aedes.handle(server);
          return client;
        },
      }),
    disconnectAll: () => {
      for (const stream of [...streams]) {
        stream.destroy();
      }
    },
    close: () => {
      broker.refuse = true;
      broker.disconnectAll();
      return new Promise<void>((resolve) => aedes.close(() => resolve()));
    },
  };
  return broker;
}
