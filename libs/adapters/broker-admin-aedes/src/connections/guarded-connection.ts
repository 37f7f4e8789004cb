import type { Duplex } from 'node:stream';
import { PacketMeter } from './packet-meter.js';
import { TokenBucket } from './token-bucket.js';

export type Breach = 'packet_too_large' | 'reads_too_slowly';

export interface ConnectionGuard {
  /** Asked for each read: it grows once the client has proved who it is. */
  readonly maxPacketBytes: () => number;
  readonly maxBufferedBytes: () => number;
  /** Undefined: no limit. */
  readonly inbound?: { readonly burstBytes: number; readonly bytesPerSecond: number };
  readonly onBreach: (breach: Breach) => void;
  readonly onSlowed: () => void;
}

/** What reading a packet costs besides its bytes, so that many small ones are not for free. */
const packetCost = 64;

/**
 * Puts limits on a connection before aedes gets it. aedes reads with `read(null)` alone, has no limit on
 * a packet's size, and stops reading from a publisher until the slowest subscriber has drained; so `read`
 * and `write` of this one stream are replaced: a read that is not yet due finds nothing and is announced
 * again when it is, a write never asks to wait, and a client that lets too much pile up is disconnected.
 */
export function guardConnection(connection: Duplex, guard: ConnectionGuard): void {
  const meter = new PacketMeter();
  const bucket =
    guard.inbound && new TokenBucket(guard.inbound.burstBytes, guard.inbound.bytesPerSecond, performance.now());
  const read: (size?: number) => unknown = connection.read.bind(connection);
  const write = connection.write.bind(connection);
  let retry: NodeJS.Timeout | undefined;
  let isBroken = false;

  const breakOff = (breach: Breach): void => {
    if (isBroken) return;
    isBroken = true;
    guard.onBreach(breach);
    connection.destroy(new Error(breach));
  };

  connection.read = (size?: number): unknown => {
    // Node itself calls read(0) to fill its buffer.
    if (size === 0) return read(0);
    if (isBroken) return null;
    const waitMs = bucket?.waitMs(performance.now()) ?? 0;
    if (waitMs > 0) {
      if (retry === undefined) {
        guard.onSlowed();
        retry = setTimeout(() => {
          retry = undefined;
          if (!connection.destroyed) connection.emit('readable');
        }, waitMs);
        retry.unref();
      }
      return null;
    }
    const chunk = read(size);
    if (!(chunk instanceof Uint8Array)) return chunk;
    const before = meter.packets;
    if (!meter.accept(chunk, guard.maxPacketBytes())) {
      breakOff('packet_too_large');
      return null;
    }
    bucket?.take(chunk.length + (meter.packets - before) * packetCost);
    return chunk;
  };

  connection.write = (...args: unknown[]) => {
    Reflect.apply(write, undefined, args);
    if (connection.writableLength > guard.maxBufferedBytes()) breakOff('reads_too_slowly');
    return true;
  };

  connection.once('close', () => clearTimeout(retry));
}
