import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Der } from './asn1.js';

export interface PemBlock {
  /** Such as `CERTIFICATE`. */
  readonly label: string;
  readonly der: Der;
  /** The block alone, with a final line break. */
  readonly pem: string;
}

const block = /-----BEGIN ([A-Z0-9 ]{1,64})-----\s*([A-Za-z0-9+/=\s]*?)-----END \1-----/g;

/**
 * All PEM blocks of a text in their order; whatever stands between them is left out.
 * @throws Mqtt2goError `malformed_message` when a block is not base64
 */
export function splitPem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  for (const [, label = '', body = ''] of text.matchAll(block)) {
    const der = fromBase64(body.replace(/\s+/g, ''));
    blocks.push({ label, der, pem: toPem(label, der) });
  }
  return blocks;
}

function fromBase64(body: string): Der {
  try {
    return Uint8Array.from(atob(body), (char) => char.charCodeAt(0));
  } catch (cause) {
    throw new Mqtt2goError('malformed_message', 'A PEM block does not hold base64.', { cause });
  }
}

/** RFC 7468 form: lines of 64, `\n`, with a final line break. */
export function toPem(label: string, der: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < der.length; at += 8192) binary += String.fromCharCode(...der.subarray(at, at + 8192));
  const body = btoa(binary);
  let text = `-----BEGIN ${label}-----\n`;
  for (let at = 0; at < body.length; at += 64) text += `${body.slice(at, at + 64)}\n`;
  return `${text}-----END ${label}-----\n`;
}

/** One text of several PEM texts, each on lines of its own. */
export function joinPem(parts: readonly string[]): string {
  return parts.map((part) => (part.endsWith('\n') ? part : `${part}\n`)).join('');
}
