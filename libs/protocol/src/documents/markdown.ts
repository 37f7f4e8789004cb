import { deviceTypes, isUtilityDeviceType } from '../device-types.js';
import { errorCodes } from '../errors.js';
import { limitsOf, type MessageDefinition } from '../messages/define.js';
import { messageLimits } from '../parse-json.js';
import { definitionOf, type MessageName, messageNames } from '../registry.js';
import { topicNames, topics } from '../topics.js';

/** A golden vector, as far as the documents show it. */
export interface Example {
  readonly name: MessageName;
  readonly topic: string;
  readonly sent: unknown;
}

/** The parts of docs/protocol.md that follow from the registry, by the name of their marker. */
export function protocolSections(examples: readonly Example[]): ReadonlyMap<string, string> {
  const all = messageNames.map(definitionOf);
  return new Map([
    ['topics', topicTable()],
    ['messages-onboarding', messageTable(all.filter(({ limits }) => limits === 'onboarding'))],
    ['messages-management', messageTable(all.filter(({ limits }) => limits === 'management'))],
    ['messages-device', messageTable(all.filter(({ limits }) => limits === 'device'))],
    ['steps', steps(examples)],
    ['limits', limitTable()],
    [
      'errors',
      table(
        ['code', 'means'],
        Object.entries(errorCodes).map(([code, means]) => [`\`${code}\``, means]),
      ),
    ],
    ['device-types', deviceTypeLists()],
  ]);
}

/**
 * Puts each section between `<!-- begin:name -->` and `<!-- end:name -->`.
 * @throws Error if a section has no place, or a place no section
 */
export function fillSections(page: string, sections: ReadonlyMap<string, string>): string {
  const found = new Set<string>();
  const filled = page.replaceAll(
    /(<!-- begin:([a-z-]+) -->\n)[\s\S]*?(<!-- end:\2 -->)/g,
    (_, begin: string, name: string, end: string) => {
      found.add(name);
      const section = sections.get(name);
      if (section === undefined) throw new Error(`There is nothing to put at ${name}.`);
      return `${begin}${section}\n${end}`;
    },
  );
  const missing = [...sections.keys()].filter((name) => !found.has(name));
  if (missing.length > 0) throw new Error(`The page has no place for ${missing.join(', ')}.`);
  return filled;
}

/** Answers to any command: the page says so once. */
const onAnyTopic: readonly MessageName[] = ['commandRefused', 'commandDone'];

function topicTable(): string {
  return table(
    ['topic', 'messages'],
    topicNames.map((name) => [
      `\`${topics[name].template}\``,
      messageNames
        .filter((message) => definitionOf(message).topics.includes(name) && !onAnyTopic.includes(message))
        .map((message) => `\`${message}\``)
        .join(', '),
    ]),
  );
}

function messageTable(definitions: readonly MessageDefinition[]): string {
  return table(
    ['message', 'on the wire', 'direction', 'topic', 'Rev', 'what'],
    definitions.map((definition) => [
      `\`${definition.name}\``,
      onTheWire(definition),
      definition.direction.replaceAll('-', ' '),
      topicsOf(definition),
      definition.revision,
      definition.doc,
    ]),
  );
}

function topicsOf({ topics: where }: MessageDefinition): string {
  const shown = where.length > 3 ? where.slice(0, 1) : where;
  const list = shown.map((name) => `\`${topics[name].template}\``).join(', ');
  return where.length > 3 ? `that of the command (${list}, ...)` : list;
}

function onTheWire({ envelope }: MessageDefinition): string {
  if (envelope.bare) return 'no envelope';
  const names = envelope.names.length === 0 ? 'any' : envelope.names.map((name) => `\`${name}\``).join(' or ');
  const kind = envelope.reportType === undefined ? 'command' : `report \`${envelope.reportType}\``;
  return `${kind} ${names}`;
}

function steps(examples: readonly Example[]): string {
  return messageNames
    .map(definitionOf)
    .filter(({ step }) => step !== undefined)
    .sort((a, b) => Number(a.step) - Number(b.step))
    .map(({ name, step, figure, doc }) => {
      const example = examples.find((one) => one.name === name);
      return [
        `**Step ${step}** (figure 1: ${figure}), \`${name}\` on \`${example?.topic}\`. ${doc}`,
        '',
        '```json',
        JSON.stringify(example?.sent, null, 2),
        '```',
      ].join('\n');
    })
    .join('\n\n');
}

function limitTable(): string {
  const kinds = { onboarding: 'while a device is added', management: 'home management', device: 'devices' } as const;
  const largest = Math.max(...messageNames.map((name) => limitsOf(definitionOf(name)).maxBytes));
  const rows = Object.entries(messageLimits).map(([kind, { maxBytes, maxDepth }]) => [
    kind === 'onboarding' || kind === 'management' || kind === 'device' ? kinds[kind] : kind,
    `${maxBytes / 1024} KiB`,
    String(maxDepth),
  ]);
  return `${table(['topics', 'bytes at most', 'nested at most'], rows)}\n\nNo message is larger than ${largest / 1024} KiB.`;
}

function deviceTypeLists(): string {
  const list = (types: readonly string[]): string => types.map((type) => `\`${type}\``).join(' ');
  const utility = deviceTypes.filter(isUtilityDeviceType);
  const security = deviceTypes.filter((type) => !isUtilityDeviceType(type));
  return `Utility, for guests too: ${list(utility)}\n\nSecurity, not for guests: ${list(security)}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}
