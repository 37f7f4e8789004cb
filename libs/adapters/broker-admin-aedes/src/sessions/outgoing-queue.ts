import type { AedesPublishPacket, PubrelPacket } from 'aedes';

/** A message for one client until it is acknowledged, or the PUBREL that has taken its place (QoS 2). */
export type OutgoingPacket = AedesPublishPacket | PubrelPacket;

interface Entry {
  packet: OutgoingPacket;
  readonly bytes: number;
  messageId: number | undefined;
}

/** The messages of one session, in order, found by the broker's count and by the packet identifier. */
export class OutgoingQueue {
  readonly #entries = new Map<number, Entry>();
  readonly #byMessageId = new Map<number, number>();
  #bytes = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** Appends a message; beyond the limits the oldest ones are given up. */
  add(packet: AedesPublishPacket, maxMessages: number, maxBytes: number): void {
    if (this.#entries.has(packet.brokerCounter)) return;
    const bytes = packet.payload.length + packet.topic.length;
    if (bytes > maxBytes) return;
    const kept = { ...packet, retain: false, messageId: undefined };
    this.#entries.set(packet.brokerCounter, { packet: kept, bytes, messageId: undefined });
    this.#bytes += bytes;
    for (const [counter, entry] of this.#entries) {
      if (this.#entries.size <= maxMessages && this.#bytes <= maxBytes) break;
      this.#drop(counter, entry);
    }
  }

  /** Notes under which identifier a message goes out. A message that was given up is delivered, and not tracked. */
  sent(packet: OutgoingPacket): void {
    const messageId = packet.messageId;
    if (messageId === undefined) return;
    if (packet.cmd === 'pubrel') {
      const entry = this.#entries.get(this.#byMessageId.get(messageId) ?? -1);
      if (entry !== undefined) entry.packet = packet;
      return;
    }
    const entry = this.#entries.get(packet.brokerCounter);
    if (entry === undefined) return;
    if (entry.messageId !== undefined) this.#byMessageId.delete(entry.messageId);
    entry.messageId = messageId;
    entry.packet = { ...packet, messageId, dup: true };
    this.#byMessageId.set(messageId, packet.brokerCounter);
  }

  /** Forgets the message with this packet identifier. */
  acknowledged(messageId: number): OutgoingPacket | undefined {
    const counter = this.#byMessageId.get(messageId);
    const entry = counter === undefined ? undefined : this.#entries.get(counter);
    if (counter === undefined || entry === undefined) return undefined;
    this.#drop(counter, entry);
    return entry.packet;
  }

  /** Forgets a message that must not be delivered. */
  discard(counter: number): void {
    const entry = this.#entries.get(counter);
    if (entry !== undefined) this.#drop(counter, entry);
  }

  packets(): OutgoingPacket[] {
    return [...this.#entries.values()].map(({ packet }) => packet);
  }

  #drop(counter: number, entry: Entry): void {
    this.#entries.delete(counter);
    this.#bytes -= entry.bytes;
    if (entry.messageId !== undefined) this.#byMessageId.delete(entry.messageId);
  }
}
