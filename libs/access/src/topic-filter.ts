/**
 * MQTT topic names and filters as lists of levels. A leading slash is an empty first level, so that
 * `/a/b` is a topic other than `a/b` (MQTT 3.1.1, 4.7).
 */
export type Levels = readonly string[];

/** Topics of this protocol have six levels at most, a leading slash included; a longer one is nobody's. */
const maxLevels = 16;
/** In UTF-16 units: the longest topic of this protocol is under 400. */
const maxLength = 1024;

/** The levels of a topic name, or undefined if it is none: empty, too long, or with a wildcard or NUL in it. */
export function parseTopic(topic: string): Levels | undefined {
  if (topic.length === 0 || topic.length > maxLength || /[+#\0]/.test(topic)) return undefined;
  const levels = topic.split('/');
  return levels.length > maxLevels ? undefined : levels;
}

/** The levels of a topic filter, or undefined if it is none: `+` and `#` stand alone in a level, `#` in the last. */
export function parseFilter(filter: string): Levels | undefined {
  if (filter.length === 0 || filter.length > maxLength || filter.includes('\0')) return undefined;
  const levels = filter.split('/');
  if (levels.length > maxLevels) return undefined;
  for (const [index, level] of levels.entries()) {
    if (level === '#' ? index !== levels.length - 1 : level !== '+' && /[+#]/.test(level)) return undefined;
  }
  return levels;
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
