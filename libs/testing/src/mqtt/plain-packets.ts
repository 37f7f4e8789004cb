const types = { connect: 0x10, publish: 0x32, subscribe: 0x82, unsubscribe: 0xa2 } as const;

export function encodeConnect(options: {
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
}): Buffer {
  const { clientId, username, password } = options;
  const clean = 0x02;
  const flags = clean | (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  const level = 4;
  // In seconds: long, and neither 0 nor more than what brokers with limits take.
  const keepAlive = 250;
  return packet(
    types.connect,
    text('MQTT'),
    Buffer.from([level, flags]),
    number(keepAlive),
    ...[clientId, username, password].flatMap((field) => (field === undefined ? [] : [text(field)])),
  );
}

/** QoS 0: what is delivered needs no answer. */
export function encodeSubscribe(messageId: number, filter: string): Buffer {
  return packet(types.subscribe, number(messageId), text(filter), Buffer.from([0]));
}

export function encodeUnsubscribe(messageId: number, filter: string): Buffer {
  return packet(types.unsubscribe, number(messageId), text(filter));
}

/** QoS 1. */
export function encodePublish(messageId: number, topic: string, payload: string): Buffer {
  return packet(types.publish, text(topic), number(messageId), Buffer.from(payload, 'utf8'));
}

export type PlainPacket =
  | { readonly kind: 'message'; readonly topic: string; readonly payload: string }
  | { readonly kind: 'connack' | 'suback' | 'unsuback' | 'puback'; readonly messageId: number; readonly code: number };

/** Takes packets out of a stream. */
export class PacketReader {
  #rest = Buffer.alloc(0);

  *read(chunk: Buffer): Iterable<PlainPacket> {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const head = headOf(this.#rest);
      if (head === undefined || this.#rest.length < head.end) return;
      const body = this.#rest.subarray(head.start, head.end);
      this.#rest = this.#rest.subarray(head.end);
      const read = decode(head.first, body);
      if (read !== undefined) yield read;
    }
  }
}

function headOf(bytes: Buffer): { first: number; start: number; end: number } | undefined {
  let length = 0;
  for (let at = 1; at < Math.min(bytes.length, 5); at += 1) {
    const digit = bytes.readUInt8(at);
    length += (digit & 0x7f) * 128 ** (at - 1);
    if (digit < 0x80) return { first: bytes.readUInt8(0), start: at + 1, end: at + 1 + length };
  }
  return undefined;
}

function decode(first: number, body: Buffer): PlainPacket | undefined {
  switch (first >> 4) {
    case 2:
      return { kind: 'connack', messageId: 0, code: body.readUInt8(1) };
    case 3: {
      const length = body.readUInt16BE(0);
      const hasId = (first & 0x06) !== 0;
      const payload = body.subarray(2 + length + (hasId ? 2 : 0)).toString('utf8');
      return { kind: 'message', topic: body.subarray(2, 2 + length).toString('utf8'), payload };
    }
    case 4:
      return { kind: 'puback', messageId: body.readUInt16BE(0), code: 0 };
    case 9:
      return { kind: 'suback', messageId: body.readUInt16BE(0), code: body.readUInt8(2) };
    case 11:
      return { kind: 'unsuback', messageId: body.readUInt16BE(0), code: 0 };
    default:
      return undefined;
  }
}

function packet(first: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const digits: number[] = [];
  let length = body.length;
  do {
    const digit = length % 128;
    length = Math.floor(length / 128);
    digits.push(length > 0 ? digit | 0x80 : digit);
  } while (length > 0);
  return Buffer.concat([Buffer.from([first, ...digits]), body]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([number(bytes.length), bytes]);
}

function number(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
