interface Node<T> {
  readonly children: Map<string, Node<T>>;
  readonly values: Map<string, T>;
}

/** Filters, each with values under names, found by a topic in the time that its levels take. */
export class TopicTree<T> {
  readonly #root: Node<T> = newNode();

  set(filter: string, name: string, value: T): void {
    let node = this.#root;
    for (const level of filter.split('/')) {
      let next = node.children.get(level);
      if (next === undefined) {
        next = newNode();
        node.children.set(level, next);
      }
      node = next;
    }
    node.values.set(name, value);
  }

  delete(filter: string, name: string): void {
    const path: { parent: Node<T>; level: string; node: Node<T> }[] = [];
    let parent = this.#root;
    for (const level of filter.split('/')) {
      const node = parent.children.get(level);
      if (node === undefined) return;
      path.push({ parent, level, node });
      parent = node;
    }
    parent.values.delete(name);
    for (const { parent: above, level, node } of path.reverse()) {
      if (node.values.size > 0 || node.children.size > 0) return;
      above.children.delete(level);
    }
  }

  /** The values of all filters that match, one per name. */
  match(topic: string): ReadonlyMap<string, T> {
    const found = new Map<string, T>();
    collect(this.#root, topic.split('/'), 0, found);
    return found;
  }
}

function newNode<T>(): Node<T> {
  return { children: new Map(), values: new Map() };
}

function collect<T>(node: Node<T>, levels: readonly string[], depth: number, found: Map<string, T>): void {
  // Wildcards in the first level do not match the broker's own topics (4.7.2).
  const takesWildcards = depth > 0 || !levels[0]?.startsWith('$');
  if (takesWildcards) addAll(node.children.get('#'), found);
  const level = levels[depth];
  if (level === undefined) return addAll(node, found);
  const exact = node.children.get(level);
  if (exact !== undefined) collect(exact, levels, depth + 1, found);
  const any = takesWildcards ? node.children.get('+') : undefined;
  if (any !== undefined) collect(any, levels, depth + 1, found);
}

function addAll<T>(node: Node<T> | undefined, found: Map<string, T>): void {
  if (node !== undefined) for (const [name, value] of node.values) found.set(name, value);
}
