import { noRefusals, type RefusalReason } from './connections/refusals.js';

/** Figures of one broker since it was started. */
export interface BrokerStats {
  /** Connections that have got in. */
  readonly sessions: number;
  /** Connections, those that have not said who they are included. */
  readonly connections: number;
  /** Sessions kept for clients that want theirs back, connected or not. */
  readonly keptSessions: number;
  /** Principals in the access copy, and whether all have been given. */
  readonly principals: number;
  readonly isCopyComplete: boolean;
  readonly counters: Readonly<BrokerCounters>;
}

/** Counters that only grow. */
export interface BrokerCounters {
  admitted: number;
  /** CONNECTs turned away, by reason. */
  refused: Record<RefusalReason, number>;
  handshakesFailed: number;
  publishesRefused: number;
  subscriptionsRefused: number;
  deliveriesWithheld: number;
  packetsTooLarge: number;
  slowReadersClosed: number;
  /** Times that a client had to wait because it sent too much. */
  sendersSlowed: number;
  /** Connections that ended in a protocol error or a broken socket. */
  connectionErrors: number;
}

export function newCounters(): BrokerCounters {
  return {
    admitted: 0,
    refused: { ...noRefusals },
    handshakesFailed: 0,
    publishesRefused: 0,
    subscriptionsRefused: 0,
    deliveriesWithheld: 0,
    packetsTooLarge: 0,
    slowReadersClosed: 0,
    sendersSlowed: 0,
    connectionErrors: 0,
  };
}
