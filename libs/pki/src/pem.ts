import 'reflect-metadata';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { PemConverter } from '@peculiar/x509';
import type { Der } from './asn1.js';

export interface PemBlock {
  /** Such as `CERTIFICATE`. */
  readonly label: string;
  readonly der: Der;
  /** The block alone, with a final line break. */
  readonly pem: string;
}

/** On these the converter's time grows with the square of their length. */
const endlessLabel = /-----BEGIN [A-Z0-9 -]{80}/;

/**
 * All PEM blocks of a text in their order; whatever stands between them is left out.
 * @throws Mqtt2goError `malformed_message` when a block is not whole or not base64
 */
export function splitPem(text: string): PemBlock[] {
  if (endlessLabel.test(text)) throw unreadable();
  const begun = text.match(/^-----BEGIN /gm)?.length ?? 0;
  const blocks = decode(text);
  // The converter passes over what it cannot read.
  if (blocks.length !== begun) throw unreadable();
  return blocks.map(({ type, rawData }) => {
    const der = new Uint8Array(rawData);
    return { label: type, der, pem: toPem(type, der) };
  });
}

function decode(text: string): ReturnType<typeof PemConverter.decodeWithHeaders> {
  try {
    // RFC 7468 2: white space at the end of a line does not count; the converter takes none.
    const lines = text.split('\n').map((line) => line.trimEnd());
    return PemConverter.decodeWithHeaders(lines.join('\n'));
  } catch (cause) {
    throw unreadable(cause);
  }
}

function unreadable(cause?: unknown): Mqtt2goError {
  return new Mqtt2goError('malformed_message', 'A PEM block is not whole, or does not hold base64.', { cause });
}

/** RFC 7468 form: lines of 64, `\n`, with a final line break. */
export function toPem(label: string, der: Uint8Array): string {
  return `${PemConverter.encode(der, label)}\n`;
}

/** One text of several PEM texts, each on lines of its own. */
export function joinPem(parts: readonly string[]): string {
  return parts.map((part) => (part.endsWith('\n') ? part : `${part}\n`)).join('');
}
