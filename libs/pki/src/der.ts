/**
 * DER writing (X.690), as much as certificates, requests and revocation lists need. Certificates are
 * written with this rather than through a schema library because that costs 2 ms of main thread each,
 * against well under 0.1 ms; what others send is read by @peculiar/x509.
 */
export type Der = Uint8Array<ArrayBuffer>;

const text = new TextEncoder();

/** One tag, the length, and the parts as its content. */
export function tagged(tag: number, ...parts: readonly Uint8Array[]): Der {
  let length = 0;
  for (const part of parts) length += part.length;
  const lengthBytes = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : length < 0x1000000 ? 3 : 4;
  const out = new Uint8Array(2 + lengthBytes + length);
  out[0] = tag;
  out[1] = lengthBytes === 0 ? length : 0x80 | lengthBytes;
  for (let i = 0; i < lengthBytes; i++) out[2 + i] = (length >>> (8 * (lengthBytes - 1 - i))) & 0xff;
  let at = 2 + lengthBytes;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export const sequence = (...parts: readonly Uint8Array[]): Der => tagged(0x30, ...parts);
export const setOf = (part: Uint8Array): Der => tagged(0x31, part);
export const octetString = (content: Uint8Array): Der => tagged(0x04, content);
export const utf8String = (value: string): Der => tagged(0x0c, text.encode(value));
/** The caller sees to it that the value is in PrintableString's alphabet. */
export const printableString = (value: string): Der => tagged(0x13, text.encode(value));
export const derNull: Der = new Uint8Array([0x05, 0x00]);
export const derTrue: Der = new Uint8Array([0x01, 0x01, 0xff]);
/** `[n] EXPLICIT`, or `[n] IMPLICIT` of something constructed when given its content. */
export const context = (number: number, ...parts: readonly Uint8Array[]): Der => tagged(0xa0 | number, ...parts);
/** `[n] IMPLICIT` of something primitive. */
export const contextPrimitive = (number: number, content: Uint8Array): Der => tagged(0x80 | number, content);
export const ia5 = (value: string): Der => text.encode(value);

export function bitString(content: Uint8Array, unusedBits = 0): Der {
  return tagged(0x03, new Uint8Array([unusedBits]), content);
}

/** An unsigned big-endian number; gets a leading zero where its first bit would make it negative. */
export function unsignedInteger(bytes: Uint8Array): Der {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const trimmed = bytes.subarray(start);
  return ((trimmed[0] ?? 0) & 0x80) !== 0 ? tagged(0x02, new Uint8Array([0]), trimmed) : tagged(0x02, trimmed);
}

/** @param value a safe integer, not negative */
export function integer(value: number): Der {
  const hex = value.toString(16);
  return unsignedInteger(hexToBytes(hex.length % 2 === 0 ? hex : `0${hex}`));
}

export function oid(dotted: string): Der {
  const arcs = dotted.split('.').map(Number);
  const bytes = [(arcs[0] ?? 0) * 40 + (arcs[1] ?? 0)];
  for (const arc of arcs.slice(2)) {
    const groups = [arc & 0x7f];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
      groups.unshift((rest & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tagged(0x06, new Uint8Array(bytes));
}

/**
 * RFC 5280 4.1.2.5: UTCTime up to the end of 2049, GeneralizedTime from then on, whole seconds, `Z`.
 * @param timeMs Unix time in milliseconds
 */
export function time(timeMs: number): Der {
  const digits = new Date(timeMs)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  return timeMs < Date.UTC(2050, 0, 1) ? tagged(0x17, text.encode(digits.slice(2))) : tagged(0x18, text.encode(digits));
}

export function hexToBytes(hex: string): Der {
  const out = new Uint8Array(hex.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return out;
}

export function bytesToHex(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += byte.toString(16).padStart(2, '0');
  return out;
}
