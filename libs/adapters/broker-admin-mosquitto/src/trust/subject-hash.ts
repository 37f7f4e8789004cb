import { createHash, X509Certificate } from 'node:crypto';

interface Der {
  readonly tag: number;
  readonly content: Buffer;
  /** With its tag and length. */
  readonly whole: Buffer;
}

const tags = { set: 0x31, sequence: 0x30, utf8String: 0x0c, explicitVersion: 0xa0 };

/** How the strings that OpenSSL brings into its canonical form are encoded (`ASN1_MASK_CANON`). */
const strings: Readonly<Record<number, (content: Buffer) => string>> = {
  12: (content) => content.toString('utf8'),
  19: (content) => content.toString('latin1'),
  20: (content) => content.toString('latin1'),
  22: (content) => content.toString('latin1'),
  26: (content) => content.toString('latin1'),
  28: (content) => fromUnits(content, 4),
  30: (content) => fromUnits(content, 2),
};

/**
 * The name by which OpenSSL looks for a CA's certificate in a folder (`openssl x509 -subject_hash`): the first four
 * bytes, the lowest first, of SHA-1 over the subject in its canonical form (`X509_NAME_hash`).
 * @param certificate PEM
 */
export function subjectHash(certificate: string): string {
  return nameHash(subjectOf(new X509Certificate(certificate).raw));
}

/** @param name DER of an X.501 name */
export function nameHash(name: Buffer): string {
  const canonical = Buffer.concat(parts(readDer(name).content).map(canonicalSet));
  const digest = createHash('sha1').update(canonical).digest();
  return digest.readUInt32LE(0).toString(16).padStart(8, '0');
}

function subjectOf(certificate: Buffer): Buffer {
  const [signed] = parts(readDer(certificate).content);
  const fields = signed === undefined ? [] : parts(signed.content);
  // version (which may be left out), serialNumber, signature, issuer, validity, subject
  const subject = fields[fields[0]?.tag === tags.explicitVersion ? 5 : 4];
  if (subject === undefined) throw new Error('not a certificate');
  return subject.whole;
}

function canonicalSet(set: Der): Buffer {
  const attributes = parts(set.content).map((attribute) => {
    const [type, value] = parts(attribute.content);
    if (type === undefined || value === undefined) throw new Error('not a name');
    return der(tags.sequence, Buffer.concat([type.whole, canonicalValue(value)]));
  });
  return der(tags.set, Buffer.concat(attributes.sort((a, b) => Buffer.compare(a, b))));
}

/** UTF-8 without blanks around it, single ones inside, and ASCII letters in lower case. */
function canonicalValue({ tag, content, whole }: Der): Buffer {
  const read = strings[tag];
  if (read === undefined) return whole;
  const text = read(content)
    .replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '')
    .replace(/[ \t\n\v\f\r]+/g, ' ')
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  return der(tags.utf8String, Buffer.from(text, 'utf8'));
}

function fromUnits(content: Buffer, bytes: 2 | 4): string {
  let text = '';
  for (let at = 0; at + bytes <= content.length; at += bytes)
    text += String.fromCodePoint(content.readUIntBE(at, bytes));
  return text;
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const digits = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, 0x80 | digits.length, ...digits]), content]);
}

function parts(content: Buffer): Der[] {
  const found: Der[] = [];
  for (let at = 0; at < content.length; ) {
    const part = readDer(content.subarray(at));
    found.push(part);
    at += part.whole.length;
  }
  return found;
}

function readDer(bytes: Buffer): Der {
  const tag = bytes.readUInt8(0);
  const short = bytes.readUInt8(1);
  const digits = short < 0x80 ? 0 : short & 0x7f;
  const length = digits === 0 ? short : bytes.readUIntBE(2, digits);
  const start = 2 + digits;
  if (start + length > bytes.length) throw new Error('the encoding ends too early');
  return { tag, content: bytes.subarray(start, start + length), whole: bytes.subarray(0, start + length) };
}
