/**
 * Finds the packets in an MQTT byte stream by their fixed headers (MQTT 3.1.1, 2.2), so that one that
 * is too large is known by its first bytes and never gathered in memory.
 */
export class PacketMeter {
  /** Packets begun so far. */
  packets = 0;
  #bodyLeft = 0;
  #length = 0;
  /** Bits of the remaining length that were read; undefined outside of it. */
  #shift: number | undefined;

  /** Takes the next bytes. False when they begin a packet of more than `maxPacketBytes`, or none at all. */
  accept(chunk: Uint8Array, maxPacketBytes: number): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#bodyLeft > 0) {
        const taken = Math.min(this.#bodyLeft, chunk.length - at);
        this.#bodyLeft -= taken;
        at += taken;
      } else if (this.#shift === undefined) {
        this.packets += 1;
        this.#shift = 0;
        this.#length = 0;
        at += 1;
      } else {
        const byte = chunk[at] ?? 0;
        at += 1;
        this.#length |= (byte & 0x7f) << this.#shift;
        this.#shift += 7;
        if (byte >= 0x80) {
          // Four bytes at most.
          if (this.#shift > 21) return false;
        } else {
          if (this.#length > maxPacketBytes) return false;
          this.#bodyLeft = this.#length;
          this.#shift = undefined;
        }
      }
    }
    return true;
  }
}
