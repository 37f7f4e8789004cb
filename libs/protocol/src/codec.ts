import type { z } from 'zod';
import { Mqtt2goError } from './errors.js';
import { limitsOf, type MessageDefinition, normaliseEnvelope } from './messages/define.js';
import { parseJson } from './parse-json.js';
import { toRefusal } from './refusal.js';
import { definitionOf, type MessageName, messages, type ReadMessage, type SentValue } from './registry.js';
import { toUnixSeconds } from './timestamp.js';
import { type MatchedTopic, matchTopic } from './topics.js';

export interface EncodeOptions {
  /** Unix time in milliseconds for the message's timestamp. */
  readonly nowMs: number;
  /** The command's type or the report's name, where the registry leaves it open. */
  readonly commandName?: string;
  /** 1 (most urgent) to 5, of reports. */
  readonly priorityLevel?: number;
}

/**
 * One message as the JSON text to publish, in the strict form.
 * @throws Mqtt2goError `malformed_message`, `invalid_identifier`, or `message_too_large` if `value` may not be sent
 */
export function encodeMessage<N extends MessageName>(name: N, value: SentValue<N>, options: EncodeOptions): string {
  const definition = definitionOf(name);
  const message = parse(definition.schema, wrap(definition, value, options));
  const text = JSON.stringify(message);
  const { maxBytes } = limitsOf(definition);
  const bytes = new TextEncoder().encode(text).byteLength;
  if (bytes > maxBytes) {
    throw new Mqtt2goError('message_too_large', `${name} would have ${bytes} bytes; its topic takes ${maxBytes}.`);
  }
  return text;
}

function wrap({ envelope }: MessageDefinition, value: unknown, options: EncodeOptions): unknown {
  if (envelope.bare) return value;
  const name = options.commandName ?? envelope.names[0];
  const timestamp = toUnixSeconds(options.nowMs);
  if (envelope.type === 'command') return { type: 'command', timestamp, command_type: name, value };
  const report = { type: 'report', report_type: envelope.reportType, timestamp, report_name: name, value };
  return options.priorityLevel === undefined ? report : { ...report, priority_level: options.priorityLevel };
}

/**
 * Reads a message that can only be this one, liberally.
 * @throws Mqtt2goError `malformed_message`, `invalid_identifier` or `message_too_large`; never anything else
 */
export function decodeMessage<N extends MessageName>(name: N, payload: Uint8Array): ReadMessage<N> {
  return readMessageJson(name, parseJson(payload, limitsOf(definitionOf(name))));
}

/** The registry, so typed that a reading belongs to its name. */
const readings: { readonly [N in MessageName]: { readonly reading: z.ZodType<ReadMessage<N>> } } = messages;

/** {@link decodeMessage} of what has been parsed as JSON already. Same errors but the size. */
export function readMessageJson<N extends MessageName>(name: N, json: unknown): ReadMessage<N> {
  return parse(readings[name].reading, json);
}

/** What a message says it is, before its value is looked at. */
export type MessageHead =
  | { readonly type: 'command'; readonly commandType: string }
  | { readonly type: 'report'; readonly reportType: string; readonly reportName: string };

/** The head of a parsed message; `undefined` if it has none (no object, no type, no name). */
export function headOf(json: unknown): MessageHead | undefined {
  const envelope = normaliseEnvelope(json);
  if (typeof envelope !== 'object' || envelope === null) return undefined;
  const text = (key: string): string | undefined => {
    const value: unknown = Object.hasOwn(envelope, key) ? Reflect.get(envelope, key) : undefined;
    return typeof value === 'string' ? value : undefined;
  };
  switch (text('type')) {
    case 'command': {
      const commandType = text('command_type');
      return commandType === undefined ? undefined : { type: 'command', commandType };
    }
    case 'report':
      return { type: 'report', reportType: text('report_type') ?? '', reportName: text('report_name') ?? '' };
    default:
      return undefined;
  }
}

type ReadMessages = {
  [N in MessageName]: { readonly name: N; readonly message: ReadMessage<N>; readonly topic: MatchedTopic };
};
/** One message that was read, told apart by `name`. */
export type AnyReadMessage = ReadMessages[MessageName];

/**
 * Reads whatever message of the registry this is, liberally.
 * @param among only these are looked for. A topic such as `<id>/topics` serves several.
 * @throws Mqtt2goError `malformed_message`, `invalid_identifier`, `message_too_large`, or `unknown_command`
 * when nothing in `among` has this topic and head; never anything else
 */
export function readMessage<N extends MessageName>(
  topic: string,
  payload: Uint8Array,
  among: readonly N[],
): ReadMessages[N];
export function readMessage(
  topic: string,
  payload: Uint8Array,
  among: readonly MessageName[],
): { name: MessageName; message: unknown; topic: MatchedTopic } {
  const forms = matchTopic(topic);
  const here = candidatesOn(forms, among);
  const limits = here.map((name) => limitsOf(definitionOf(name)));
  const json = parseJson(payload, {
    maxBytes: Math.max(...limits.map(({ maxBytes }) => maxBytes)),
    maxDepth: Math.max(...limits.map(({ maxDepth }) => maxDepth)),
  });
  const candidates = here.filter((name) => isOfHead(definitionOf(name), json));
  if (candidates.length === 0) throw new Mqtt2goError(headOf(json) ? 'unknown_command' : 'malformed_message');

  let refusal: Mqtt2goError | undefined;
  for (const name of candidates) {
    const definition = definitionOf(name);
    if (payload.byteLength > limitsOf(definition).maxBytes) {
      refusal ??= new Mqtt2goError('message_too_large');
      continue;
    }
    const read = readings[name].reading.safeParse(json);
    const parsedTopic = forms.find((form) => definition.topics.includes(form.name));
    if (read.success && parsedTopic) return { name, message: read.data, topic: parsedTopic };
    if (!read.success) refusal ??= toRefusal(read.error);
  }
  throw refusal ?? new Mqtt2goError('malformed_message');
}

function candidatesOn(forms: readonly MatchedTopic[], among: readonly MessageName[]): readonly MessageName[] {
  const here = among.filter((name) => definitionOf(name).topics.some((on) => forms.some((form) => form.name === on)));
  if (here.length === 0) throw new Mqtt2goError('unknown_command', 'No message is known on this topic.');
  return here;
}

function isOfHead({ envelope }: MessageDefinition, json: unknown): boolean {
  if (envelope.bare) return typeof json === 'object' && json !== null && !Object.hasOwn(json, 'type');
  const head = headOf(json);
  if (head?.type !== envelope.type) return false;
  if (head.type === 'report' && head.reportType !== envelope.reportType) return false;
  const name = head.type === 'command' ? head.commandType : head.reportName;
  return envelope.names.length === 0 || envelope.names.includes(name);
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw toRefusal(parsed.error);
  return parsed.data;
}
