import { z } from 'zod';
import { type JsonLimits, messageLimits } from '../parse-json.js';
import { readTimestamp, unixSeconds } from '../timestamp.js';
import type { TopicName } from '../topics.js';
import { priorityLevel, wireName } from './values.js';

export type Direction =
  | 'controller-to-platform'
  | 'platform-to-controller'
  | 'device-to-platform'
  | 'platform-to-device'
  | 'controller-to-device'
  | 'device-to-controller';

/** Kinds of report, as sent. */
export const reportTypes = ['command_response', 'status', 'periodic_report', 'error'] as const;
export type ReportType = (typeof reportTypes)[number];

/** What is written down of a message besides its form. */
export interface MessageFacts<N extends string = string> {
  readonly name: N;
  /** The revision of the standard that the form is from; 1.0 is in force, later ones are additions to it. */
  readonly revision: '1.0' | '1.2';
  readonly direction: Direction;
  /** Where it goes; the first is where we send it, on the others it is read as well. */
  readonly topics: readonly [TopicName, ...TopicName[]];
  readonly limits: keyof typeof messageLimits;
  /** Number in the list of steps of "Setup via WPS with Remote Broker". */
  readonly step?: number;
  /** Number in figure 1 of the same page. */
  readonly figure?: number;
  readonly doc: string;
}

/** How the message is told from others on its topic. */
export interface Envelope {
  readonly type: 'command' | 'report';
  /** `command_type` or `report_name`: the first is sent, all are read. None: any name. */
  readonly names: readonly string[];
  /** Of reports. */
  readonly reportType?: ReportType;
  /** Sent and read without an envelope: the body alone. */
  readonly bare?: boolean;
}

export interface MessageDefinition<
  N extends string = string,
  S extends z.ZodType = z.ZodType,
  R extends z.ZodType = z.ZodType,
> extends MessageFacts<N> {
  readonly envelope: Envelope;
  /** What is sent: strict. */
  readonly schema: S;
  /** What is read: liberal; its output is the one canonical form, lists for groups, seconds for timestamps. */
  readonly reading: R;
}

export function limitsOf(definition: Pick<MessageFacts, 'limits'>): JsonLimits {
  return messageLimits[definition.limits];
}

/** `CommandResponse` is `command_response`. */
function snakeCase(word: string): string {
  return word.replaceAll(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

/**
 * Puts an envelope right that others may spell otherwise: timestamps, CamelCase report types, `report` where
 * the general rule says `value`, priorities that are none. Anything but an object is left as it is.
 */
export function normaliseEnvelope(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  const envelope: Record<string, unknown> = { ...json };
  const timestamp = readTimestamp(envelope['timestamp']);
  if (timestamp === undefined) delete envelope['timestamp'];
  else envelope['timestamp'] = timestamp;
  if (envelope['type'] === 'report') {
    if (typeof envelope['report_type'] === 'string') envelope['report_type'] = snakeCase(envelope['report_type']);
    if (envelope['value'] === undefined && envelope['report'] !== undefined) envelope['value'] = envelope['report'];
    if (!priorityLevel.safeParse(envelope['priority_level']).success) delete envelope['priority_level'];
  }
  return envelope;
}

const seconds = z.number().optional();

interface Values<V extends z.ZodType, RV extends z.ZodType> {
  readonly value: V;
  /** What is read of the value, where that is more than is sent. */
  readonly reads?: RV;
}

/** A command of the standard's general form. */
export function command<const N extends string, const C extends string, V extends z.ZodType, RV extends z.ZodType = V>(
  definition: MessageFacts<N> & Values<V, RV> & { readonly command: C; readonly alsoReads?: readonly string[] },
) {
  const { command: commandType, alsoReads = [], value, reads, ...facts } = definition;
  const names = [commandType, ...alsoReads];
  return define({
    ...facts,
    envelope: { type: 'command', names },
    schema: z.strictObject({
      type: z.literal('command'),
      timestamp: unixSeconds,
      command_type: z.literal(commandType),
      value,
    }),
    reading: z.preprocess(
      normaliseEnvelope,
      z.object({
        type: z.literal('command'),
        timestamp: seconds,
        command_type: z.enum(names),
        value: orSame(reads, value),
      }),
    ),
  });
}

/** The answer to a command, in the seed's form. */
export function response<const N extends string, const C extends string, V extends z.ZodType, RV extends z.ZodType = V>(
  definition: MessageFacts<N> &
    Values<V, RV> & { readonly report: C; readonly alsoReads?: readonly string[]; readonly reportType?: ReportType },
) {
  const { report, alsoReads = [], reportType = 'command_response', value, reads, ...facts } = definition;
  const names = [report, ...alsoReads];
  return define({
    ...facts,
    envelope: { type: 'report', names, reportType },
    schema: z.strictObject({
      type: z.literal('report'),
      report_type: z.literal(reportType),
      timestamp: unixSeconds,
      report_name: z.literal(report),
      value,
      priority_level: priorityLevel.optional(),
    }),
    reading: z.preprocess(
      normaliseEnvelope,
      z.object({
        type: z.literal('report'),
        report_type: z.literal(reportType),
        timestamp: seconds,
        report_name: z.enum(names),
        value: orSame(reads, value),
        priority_level: priorityLevel.optional(),
      }),
    ),
  });
}

/** A command of which the device's type, not the standard, says the name. */
export function openCommand<const N extends string, V extends z.ZodType>(definition: MessageFacts<N> & Values<V, V>) {
  const { value, reads, ...facts } = definition;
  const form = { type: z.literal('command'), command_type: wireName };
  return define({
    ...facts,
    envelope: { type: 'command', names: [] },
    schema: z.strictObject({ type: form.type, timestamp: unixSeconds, command_type: form.command_type, value }),
    reading: z.preprocess(
      normaliseEnvelope,
      z.object({ type: form.type, timestamp: seconds, command_type: form.command_type, value: reads ?? value }),
    ),
  });
}

/** A report whose name is that of whatever it tells of. */
export function openReport<const N extends string, V extends z.ZodType>(
  definition: MessageFacts<N> & Values<V, V> & { readonly reportType: ReportType },
) {
  const { value, reads, reportType, ...facts } = definition;
  return define({
    ...facts,
    envelope: { type: 'report', names: [], reportType },
    schema: z.strictObject({
      type: z.literal('report'),
      report_type: z.literal(reportType),
      timestamp: unixSeconds,
      report_name: wireName,
      value,
      priority_level: priorityLevel.optional(),
    }),
    reading: z.preprocess(
      normaliseEnvelope,
      z.object({
        type: z.literal('report'),
        report_type: z.literal(reportType),
        timestamp: seconds,
        report_name: wireName,
        value: reads ?? value,
        priority_level: priorityLevel.optional(),
      }),
    ),
  });
}

/** A body that comes and goes without an envelope. */
export function bare<const N extends string, V extends z.ZodType, RV extends z.ZodType = V>(
  definition: MessageFacts<N> & Values<V, RV> & { readonly type: Envelope['type'] },
) {
  const { value, reads, type, ...facts } = definition;
  return define({ ...facts, envelope: { type, names: [], bare: true }, schema: value, reading: orSame(reads, value) });
}

function define<const N extends string, S extends z.ZodType, R extends z.ZodType>(
  definition: MessageDefinition<N, S, R>,
): MessageDefinition<N, S, R> {
  return Object.freeze(definition);
}

/** Where no reading is given, `RV` is `V` by its default, which the compiler cannot see from within. */
function orSame<V extends z.ZodType, RV extends z.ZodType>(reads: RV | undefined, value: V): RV;
function orSame(reads: z.ZodType | undefined, value: z.ZodType): z.ZodType {
  return reads ?? value;
}
