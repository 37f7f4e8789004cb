import {
  BaseBlock,
  BitString,
  Constructed,
  GeneralizedTime,
  Integer,
  ObjectIdentifier,
  Primitive,
  Sequence,
  UTCTime,
  type ViewWriter,
} from 'asn1js';

// What certificates, requests and revocation lists are built of. asn1js encodes; @peculiar/x509's classes above it cost
// several times as much main thread, and are used for what never changes and for reading.

export type Der = Uint8Array<ArrayBuffer>;

/** DER that is there already, as a part of what is being built. */
export class Encoded extends BaseBlock {
  readonly #der: ArrayBuffer;

  /** @param der one complete element */
  constructor(der: ArrayBuffer | Uint8Array) {
    super();
    this.#der = der instanceof ArrayBuffer ? der : new Uint8Array(der).buffer;
  }

  get der(): Der {
    return new Uint8Array(this.#der);
  }

  /** asn1js' way: into the writer of what it is a part of, else as the result. */
  override toBER(_sizeOnly?: boolean, writer?: ViewWriter): ArrayBuffer {
    if (writer === undefined) return this.#der;
    writer.write(this.#der);
    return new ArrayBuffer(0);
  }
}

/** Encodes now what is to be written many times. */
export function encoded(part: BaseBlock): Encoded {
  return part instanceof Encoded ? part : new Encoded(part.toBER());
}

export function sequence(...parts: BaseBlock[]): Sequence {
  return new Sequence({ value: parts });
}

export function oid(dotted: string): Encoded {
  return encoded(new ObjectIdentifier({ value: dotted }));
}

/** `[n] EXPLICIT` */
export function explicit(tagNumber: number, ...parts: BaseBlock[]): Constructed {
  return new Constructed({ idBlock: { tagClass: 3, tagNumber }, value: parts });
}

/** `[n] IMPLICIT` of something primitive, given by its content. */
export function implicit(tagNumber: number, content: Uint8Array): Primitive {
  return new Primitive({ idBlock: { tagClass: 3, tagNumber }, valueHex: content });
}

/** @param hex not negative, of any length */
export function serialNumber(hex: string): Integer {
  return Integer.fromBigInt(BigInt(`0x${hex}`));
}

/**
 * RFC 5280 4.1.2.5: UTCTime up to the end of 2049, GeneralizedTime from then on.
 * @param timeMs Unix time in milliseconds
 */
export function time(timeMs: number): UTCTime | GeneralizedTime {
  const valueDate = new Date(Math.floor(timeMs / 1000) * 1000);
  return valueDate.getUTCFullYear() < 2050 ? new UTCTime({ valueDate }) : new GeneralizedTime({ valueDate });
}

/** SEQUENCE of content, algorithm and signature: the form of certificates, requests and revocation lists. */
export function signed(
  content: BaseBlock,
  signer: { readonly algorithm: Encoded; sign(content: Uint8Array): Uint8Array },
): Der {
  const toBeSigned = encoded(content);
  const signature = new BitString({ valueHex: signer.sign(toBeSigned.der) });
  return encoded(sequence(toBeSigned, signer.algorithm, signature)).der;
}
