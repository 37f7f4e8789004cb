/**
 * MQTT topic names and filters as lists of levels. A leading slash is an empty first level, so that
 * `/a/b` is a topic other than `a/b` (MQTT 3.1.1, 4.7).
 */
export type Levels = readonly string[];

/** Topics of this protocol have six levels at most, a leading slash included; a longer one is nobody's. */
const maxLevels = 16;

/**
 * Characters that MQTT 3.1.1 lets a server end the connection for (1.5.3): NUL, control characters, halves of
 * surrogate pairs and what Unicode has set aside as no characters. One broker does, so that to none is such a topic any.
 */
const impossible = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u;

/** The levels of a topic name, or undefined if it is none: empty, too deep, or with a wildcard in it. */
export function parseTopic(topic: string): Levels | undefined {
  return /[+#]/.test(topic) ? undefined : levelsOf(topic);
}

/** The levels of a topic filter, or undefined if it is none: `+` and `#` stand alone in a level, `#` in the last. */
export function parseFilter(filter: string): Levels | undefined {
  const levels = levelsOf(filter);
  for (const [index, level] of (levels ?? []).entries()) {
    if (level === '#' ? index !== (levels?.length ?? 0) - 1 : level !== '+' && /[+#]/.test(level)) return undefined;
  }
  return levels;
}

function levelsOf(text: string): Levels | undefined {
  if (text.length === 0 || impossible.test(text)) return undefined;
  const levels = text.split('/', maxLevels + 1);
  return levels.length > maxLevels ? undefined : levels;
}

/**
 * True if every topic that `filter` matches is also matched by `pattern`; a topic name is a filter that
 * matches itself. As in MQTT, a wildcard in the first level matches no topic that begins with `$`.
 */
export function covers(pattern: Levels, filter: Levels): boolean {
  const first = filter[0];
  if (first?.startsWith('$') && pattern[0] !== first) return false;
  for (const [index, allowed] of pattern.entries()) {
    if (allowed === '#') return true;
    const asked = filter[index];
    if (asked === undefined || asked === '#') return false;
    if (allowed !== '+' && allowed !== asked) return false;
  }
  return filter.length === pattern.length;
}
