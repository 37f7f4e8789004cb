/** MQTT 3.1.1 section 4.7: whether a subscription to `filter` receives what is published on `topic`. */
export function topicMatches(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const levels = topic.split('/');
  // Wildcards at the start never reach the broker's own topics.
  if (topic.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false;
  for (const [i, level] of wanted.entries()) {
    if (level === '#') return true;
    if (i >= levels.length || (level !== '+' && level !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}

/** Whether some topic exists that both filters match. */
export function filtersOverlap(a: string, b: string): boolean {
  const left = a.split('/');
  const right = b.split('/');
  const length = Math.max(left.length, right.length);
  for (let i = 0; i < length; i++) {
    const one = left[i];
    const other = right[i];
    if (one === '#' || other === '#') return true;
    if (one === undefined || other === undefined) {
      // `a/#` also matches `a` itself.
      return false;
    }
    if (one !== '+' && other !== '+' && one !== other) return false;
  }
  return true;
}
