import fc from 'fast-check';
import { grantsOf } from '../grants.js';
import type { BrokerRole, Principal } from '../principals.js';
import { parseFilter, parseTopic } from '../topic-filter.js';

/** What is tried by everybody in a world. */
export interface Attempts {
  /** To be published by each, and to each. */
  readonly topics: readonly string[];
  readonly filters: readonly string[];
}

const outOfPlace = [
  '#',
  '+',
  '/',
  '//',
  '/#',
  '+/#',
  '+/+',
  '+/topics',
  '/+/topic',
  '+/+/add_device',
  '+/activation',
  '+/wifi',
  '+/+/+/+/+',
  '/+/+/+/+/+',
  '$SYS/#',
  '$SYS/broker/uptime',
  '$SYS/broker/connection/x/state',
  '$CONTROL/#',
  '$CONTROL/mqtt2go-access/v1/response',
  '$CONTROL/dynamic-security/v1/response',
  '$share/all/#',
  'mqtt2go/provisioning/claim-onboarding',
];

const word = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('kitchen', 'add_device', 'topics', 'topic', 'light', 'camera', 'users', 'gw'),
  },
  { weight: 3, arbitrary: fc.constantFrom('', '%u', '%c', '%', '..', ' ', '$SYS', '*', '>', '\\', '%u%u', '%C') },
  {
    weight: 2,
    arbitrary: fc.constantFrom('ü', '家', '😀', 'e\u0301', '\u00a0', '\u200d', 'x'.repeat(65), 'y'.repeat(5_000)),
  },
  {
    weight: 1,
    arbitrary: fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => text.replace(/[/+#\p{Cc}]/gu, '')),
  },
);
const wildcard = fc.constantFrom('+', '#');

type Levels = readonly string[];
type Change = (levels: Levels) => Levels;

/** Each a little step away from what somebody may have. */
function changeWith(level: fc.Arbitrary<string>): fc.Arbitrary<Change> {
  const at = fc.nat({ max: 6 });
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant<Change>((levels) => levels) },
    {
      weight: 3,
      arbitrary: fc.tuple(at, level).map(
        ([i, text]): Change =>
          (levels) =>
            levels.with(i % levels.length, text),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(at, level).map(
        ([i, text]): Change =>
          (levels) =>
            levels.toSpliced(i, 0, text),
      ),
    },
    {
      weight: 1,
      arbitrary: at.map(
        (i): Change =>
          (levels) =>
            levels.length > 1 ? levels.toSpliced(i % levels.length, 1) : levels,
      ),
    },
    { weight: 1, arbitrary: fc.constant<Change>((levels) => ['', ...levels]) },
    { weight: 1, arbitrary: fc.constant<Change>((levels) => (levels[0] === '' ? levels.slice(1) : levels)) },
    { weight: 1, arbitrary: fc.constant<Change>((levels) => [...levels, '']) },
    {
      weight: 1,
      arbitrary: at.map(
        (i): Change =>
          (levels) =>
            levels.with(i % levels.length, `${levels[i % levels.length]}1`),
      ),
    },
    {
      weight: 1,
      arbitrary: at.map(
        (i): Change =>
          (levels) =>
            levels.with(i % levels.length, `${levels[i % levels.length]}`.slice(0, -1)),
      ),
    },
    {
      weight: 1,
      arbitrary: at.map(
        (i): Change =>
          (levels) =>
            levels.with(i % levels.length, `${levels[i % levels.length]}`.toUpperCase()),
      ),
    },
    { weight: 1, arbitrary: fc.constant<Change>((levels) => ['$share', 'all', ...levels]) },
  );
}

/** `#` at the end only, where it belongs. */
const cut: fc.Arbitrary<Change> = fc
  .nat({ max: 6 })
  .map((i) => (levels) => [...levels.slice(0, i % levels.length), '#']);

/** Topics and filters around what the principals of a world may have; all of them such as MQTT takes. */
export function attemptsAround(
  principals: readonly Principal[],
  broker: BrokerRole,
  count: { readonly topics: number; readonly filters: number },
): fc.Arbitrary<Attempts> {
  const lists = principals.map((principal) => grantsOf(principal, broker));
  const granted = lists.flatMap(({ publish, subscribe, subscribeLiterally, receive, except }) => [
    ...new Set([...publish, ...subscribe, ...subscribeLiterally, ...receive, ...except]),
  ]);
  const seed = fc
    .oneof(
      { weight: 12, arbitrary: fc.constantFrom(...(granted.length > 0 ? granted : ['x'])) },
      fc.constantFrom(...outOfPlace),
    )
    .map((filter) => filter.split('/'));
  const topic = fc
    .tuple(seed, fc.array(word, { minLength: 6, maxLength: 6 }), fc.array(changeWith(word), { maxLength: 2 }))
    .map(([levels, words, changes]) =>
      changes
        .reduce<Levels>((all, change) => change(all), levels)
        .map((level, i) => (level === '+' || level === '#' ? (words[i % words.length] ?? '') : level))
        .join('/'),
    )
    .filter((text) => parseTopic(text) !== undefined);
  const filter = fc
    .tuple(
      seed,
      fc.array(fc.tuple(fc.nat({ max: 6 }), word), { maxLength: 3 }),
      fc.array(fc.oneof({ weight: 3, arbitrary: changeWith(fc.oneof(word, fc.constant('+'))) }, cut), { maxLength: 2 }),
    )
    .map(([levels, words, changes]) => {
      // Some wildcards of what is granted become words.
      const filled = words.reduce<Levels>((all, [at, text]) => (all[at] === '+' ? all.with(at, text) : all), levels);
      return changes.reduce<Levels>((all, change) => change(all), filled).join('/');
    })
    .filter((text) => parseFilter(text) !== undefined);
  return fc.record({
    topics: fc.uniqueArray(topic, { minLength: count.topics, maxLength: count.topics }),
    filters: fc.uniqueArray(filter, { minLength: count.filters, maxLength: count.filters }),
  });
}

/** Topics and filters that MQTT does not have: a broker may end the connection over them. */
export const impossible = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('home', 'home/gw', 'plug'),
      fc.constantFrom('\0', '\u0007', '\u007f', '\u0085', '\ufffe', '\ufdd0'),
    )
    .map(([start, end]) => `${start}/${end}`),
  fc
    .tuple(fc.constantFrom('home/', ''), wildcard, fc.constantFrom('x', '/x', '+', '#'))
    .map((parts) => parts.join(''))
    .filter((text) => !/^(home\/)?\+(\/x)?$/.test(text)),
  fc.constantFrom(''),
);
