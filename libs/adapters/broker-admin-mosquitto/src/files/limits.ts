const KiB = 1024;
const MiB = 1024 * KiB;

export type MosquittoRole = 'home' | 'activation' | 'bus';

/** What clients may cost a broker. Mosquitto has one set of them for all listeners but for connections. */
export interface MosquittoLimits {
  /** Connections of each kind of client; more are refused. */
  readonly connections: { readonly devices: number; readonly controllers: number; readonly services: number };
  /** Sessions, those of clients that are away included. */
  readonly sessions: number;
  /** An MQTT packet; whoever sends a larger one is disconnected. Control messages of this adapter stay below 48 KiB. */
  readonly packetBytes: number;
  /** Messages of QoS 1 and 2 that a client has been sent and has not acknowledged. Services acknowledge after their commit. */
  readonly inflightMessages: number;
  /** Messages of QoS 1 and 2 that wait for a client that is slow or away; more are dropped, and their senders repeat. */
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  /** The longest keep-alive, in seconds: what is gone is noticed within one and a half times of that. */
  readonly keepaliveSeconds: number;
  /** How long a session outlives its client. */
  readonly sessionExpiryHours: number;
  /** Between two writes of sessions and what waits in them to the disk. */
  readonly autosaveSeconds: number;
}

const home: MosquittoLimits = {
  // 20,000 devices and those that come back before the broker has noticed that they were gone.
  connections: { devices: 30_000, controllers: 10_000, services: 200 },
  sessions: 60_000,
  packetBytes: 256 * KiB,
  inflightMessages: 200,
  // A service that is away for a minute finds what 100 devices a second have asked meanwhile.
  queuedMessages: 10_000,
  queuedBytes: 4 * MiB,
  keepaliveSeconds: 3_600,
  sessionExpiryHours: 14 * 24,
  autosaveSeconds: 60,
};

export const defaultMosquittoLimits: Readonly<Record<MosquittoRole, MosquittoLimits>> = {
  home,
  // Little is said there, and anybody with some manufacturer's certificate may knock.
  activation: {
    ...home,
    connections: { devices: 10_000, controllers: 0, services: 200 },
    sessions: 15_000,
    packetBytes: 64 * KiB,
    keepaliveSeconds: 300,
    sessionExpiryHours: 1,
  },
  bus: {
    ...home,
    connections: { devices: 0, controllers: 0, services: 1_000 },
    sessions: 2_000,
    packetBytes: 4 * MiB,
    queuedBytes: 32 * MiB,
    sessionExpiryHours: 1,
  },
};
