import type { BrokerRole } from '@mqtt2go/access';

/** What one client may cost. Whoever goes over a limit loses this, and nobody else notices. */
export interface BrokerLimits {
  /** Connections on each listener; more are closed before their TLS handshake. */
  readonly maxConnections: number;
  /** An MQTT packet from a device or controller; a larger one closes its connection. */
  readonly maxPacketBytes: number;
  /** The same before the client has proved who it is. */
  readonly maxConnectPacketBytes: number;
  /** The same from a service. */
  readonly maxServicePacketBytes: number;
  /** Outgoing bytes waiting for a client that reads too slowly; more close its connection. */
  readonly maxBufferedBytes: number;
  /** Inbound bytes (with a surcharge for each packet) that a client may send at a stretch, and per second after that. */
  readonly inboundBurstBytes: number;
  readonly inboundBytesPerSecond: number;
  readonly handshakeTimeoutMs: number;
  /** From the TLS handshake to CONNECT. */
  readonly connectTimeoutMs: number;
  readonly maxSubscriptionsPerClient: number;
  /** Messages kept for a client that is away; the oldest go first. */
  readonly maxQueuedMessages: number;
  readonly maxQueuedBytes: number;
  /** Sessions of clients that are away; the one that has been away longest goes first. */
  readonly maxOfflineSessions: number;
  /** Retained messages of one home (of one first level of the topic). */
  readonly maxRetainedMessages: number;
  readonly maxRetainedBytes: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;

const home: BrokerLimits = {
  maxConnections: 30_000,
  maxPacketBytes: 256 * KiB,
  maxConnectPacketBytes: 16 * KiB,
  maxServicePacketBytes: 4 * MiB,
  maxBufferedBytes: 4 * MiB,
  inboundBurstBytes: 2 * MiB,
  inboundBytesPerSecond: 256 * KiB,
  handshakeTimeoutMs: 15_000,
  connectTimeoutMs: 15_000,
  maxSubscriptionsPerClient: 256,
  maxQueuedMessages: 500,
  maxQueuedBytes: MiB,
  maxOfflineSessions: 50_000,
  maxRetainedMessages: 1_000,
  maxRetainedBytes: 2 * MiB,
};

/** Generous to what a home does, tight on the activation broker, where little is said and anybody may knock. */
export const defaultLimits: Readonly<Record<BrokerRole, BrokerLimits>> = {
  home,
  activation: {
    ...home,
    maxPacketBytes: 32 * KiB,
    maxConnectPacketBytes: 4 * KiB,
    maxBufferedBytes: 256 * KiB,
    inboundBurstBytes: 128 * KiB,
    inboundBytesPerSecond: 16 * KiB,
    maxSubscriptionsPerClient: 4,
  },
  bus: { ...home, maxConnections: 1_000 },
};

/** Outgoing bytes waiting for a service, which may be busy with its database for a while. */
export const maxServiceBufferedBytes = 64 * MiB;

/** What waits for a service that is being started again: messages of all homes. */
export const queueOfServices = { maxQueuedMessages: 20_000, maxQueuedBytes: 32 * MiB };
