import type { Duplex } from 'node:stream';
import mqttPacket, { type IConnectPacket } from 'mqtt-packet';

export interface FirstPacketLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/**
 * Looks at the CONNECT with which a client begins, and puts every byte back for whoever serves the connection. Resolves
 * with undefined for whatever else comes, or too much of it; a client that says nothing is disconnected. Never rejects.
 */
export function peekConnect(
  connection: Duplex,
  { maxBytes, timeoutMs }: FirstPacketLimits,
): Promise<IConnectPacket | undefined> {
  return new Promise((resolve) => {
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    let isSettled = false;
    const settle = (packet: IConnectPacket | undefined): void => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(late);
      connection.off('readable', read);
      connection.off('close', ended);
      connection.off('error', ended);
      if (chunks.length > 0 && !connection.destroyed) connection.unshift(Buffer.concat(chunks));
      resolve(packet);
    };
    const ended = (): void => settle(undefined);
    const read = (): void => {
      for (;;) {
        const chunk: unknown = isSettled ? null : connection.read();
        if (!(chunk instanceof Uint8Array)) return;
        chunks.push(chunk);
        bytes += chunk.length;
        parser.parse(Buffer.from(chunk));
        if (bytes > maxBytes) settle(undefined);
      }
    };
    const late = setTimeout(() => {
      connection.destroy();
      settle(undefined);
    }, timeoutMs);
    late.unref();
    parser.on('packet', (packet) => settle(packet.cmd === 'connect' ? packet : undefined));
    parser.on('error', ended);
    connection.on('readable', read);
    connection.once('close', ended);
    connection.once('error', ended);
    read();
  });
}
