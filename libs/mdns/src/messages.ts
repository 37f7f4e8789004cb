import { z } from 'zod';

/** Bytes; the most that a Multicast DNS message may have (RFC 6762, section 17). */
export const maxMessageBytes = 9_000;
/** Far more than a gateway has; the rest of a longer message is not looked at. */
const maxRecords = 64;

const name = z.string().min(1).max(255);
const head = { name, class: z.literal('IN'), ttl: z.int().min(0) };

const record = z.discriminatedUnion('type', [
  z.object({ ...head, type: z.literal('PTR'), data: name }),
  z.object({ ...head, type: z.literal('SRV'), data: z.object({ port: z.int().min(1).max(65_535), target: name }) }),
  z.object({ ...head, type: z.literal('A'), data: z.ipv4() }),
  z.object({ ...head, type: z.literal('AAAA'), data: z.ipv6() }),
]);

/** A record that somebody gave. `ttl` in seconds; 0: it is taken back (RFC 6762, section 10.1). */
export type MdnsRecord = z.output<typeof record>;

const packet = z.object({
  type: z.enum(['query', 'response']),
  opcode: z.literal('QUERY'),
  rcode: z.literal('NOERROR'),
  questions: z.array(z.unknown()),
  answers: z.array(z.unknown()),
  authorities: z.array(z.unknown()),
  additionals: z.array(z.unknown()),
});
const question = z.object({ name });

/** What a datagram said, as far as it is of use here. */
export interface MdnsMessage {
  readonly kind: 'query' | 'response';
  /** The sender; link-local IPv6 with its zone. */
  readonly from: string;
  readonly interfaceName: string;
  /** Names that are asked for, in small letters. */
  readonly asked: readonly string[];
  /** Of a response: what it says. Of a query: what the sender is about to claim (a probe: RFC 6762, section 8.2). */
  readonly records: readonly MdnsRecord[];
}

/** @returns undefined for what is no message by RFC 6762, section 18. Records that cannot be read are left out. */
export function readMessage(decoded: unknown, from: string, interfaceName: string): MdnsMessage | undefined {
  const parsed = packet.safeParse(decoded);
  if (!parsed.success) return undefined;
  const { type: kind, questions, answers, authorities, additionals } = parsed.data;
  const given = kind === 'response' ? [...answers, ...additionals] : authorities;
  return {
    kind,
    from,
    interfaceName,
    asked: kind === 'response' ? [] : readAll(questions, question).map(({ name: asked }) => sameName(asked)),
    records: readAll(given, record),
  };
}

function readAll<S extends z.ZodType>(values: readonly unknown[], schema: S): z.output<S>[] {
  return values.slice(0, maxRecords).flatMap((value) => {
    const read = schema.safeParse(value);
    return read.success ? [read.data] : [];
  });
}

/** The form of a name in which equal names are equal strings. */
export function sameName(given: string): string {
  // DNS knows no other capital letters than these.
  return given.replace(/[A-Z]/g, (letter) => letter.toLowerCase()).replace(/\.$/, '');
}
