import { topicMatches } from '@mqtt2go/protocol';
import type { AedesPublishPacket } from 'aedes';

interface Shelf {
  readonly packets: Map<string, AedesPublishPacket>;
  bytes: number;
}

/** Retained messages by home (the first level of the topic that is not empty), each home within its own limits. */
export class RetainedMessages {
  readonly #shelves = new Map<string, Shelf>();
  readonly #maxMessages: number;
  readonly #maxBytes: number;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
  }

  /** Keeps the message instead of the topic's last one; an empty payload only clears. False when the home's shelf is full. */
  store(packet: AedesPublishPacket): boolean {
    const name = shelfOf(packet.topic);
    const shelf: Shelf = this.#shelves.get(name) ?? { packets: new Map(), bytes: 0 };
    const before = shelf.packets.get(packet.topic);
    const bytes = packet.payload.length === 0 ? 0 : sizeOf(packet);
    const freed = before === undefined ? 0 : sizeOf(before);
    if (bytes === 0) {
      shelf.packets.delete(packet.topic);
    } else {
      const isFull = before === undefined && shelf.packets.size >= this.#maxMessages;
      if (isFull || shelf.bytes - freed + bytes > this.#maxBytes) return false;
      shelf.packets.set(packet.topic, { ...packet });
    }
    shelf.bytes += bytes - freed;
    if (shelf.packets.size === 0) this.#shelves.delete(name);
    else this.#shelves.set(name, shelf);
    return true;
  }

  /** The messages that the filters match, each once. Looks at one home unless a filter begins with a wildcard. */
  *match(filters: readonly string[]): Iterable<AedesPublishPacket> {
    const seen = new Set<string>();
    for (const filter of filters) {
      for (const packet of this.#matchOne(filter)) {
        if (seen.has(packet.topic)) continue;
        seen.add(packet.topic);
        yield packet;
      }
    }
  }

  *#matchOne(filter: string): Iterable<AedesPublishPacket> {
    const name = shelfOf(filter);
    const shelves = /[+#]/.test(name) ? this.#shelves.values() : [this.#shelves.get(name)];
    for (const shelf of shelves) {
      if (shelf === undefined) continue;
      const exact = shelf.packets.get(filter);
      if (exact !== undefined) yield exact;
      if (!/[+#]/.test(filter)) continue;
      for (const [topic, packet] of shelf.packets) if (topicMatches(filter, topic)) yield packet;
    }
  }
}

function shelfOf(topic: string): string {
  return topic.replace(/^\//, '').split('/', 1)[0] ?? '';
}

function sizeOf(packet: AedesPublishPacket): number {
  return packet.payload.length + packet.topic.length;
}
