import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Kubernetes drops fields that it does not know, so that a wrong indentation goes unnoticed. What a field may hold is one of:
 * `{kind: 'any'}`, `{kind: 'list', of}`, `{kind: 'map', of}`, `{kind: 'object', fields}`, `{kind: 'named', name, file}`.
 */

const anything = { kind: 'any' };
const files = new Map();

/**
 * Paths of what `object` has and the published API of Kubernetes has not.
 * @param {import('./chart.mjs').Json} object
 * @param {string} declarations the file that declares its kind
 * @returns {string[]}
 */
export function unknownFields(object, declarations) {
  const file = declarationFile(declarations);
  return [...walk(object, file.only(), '')];
}

function* walk(value, type, path) {
  switch (type.kind) {
    case 'any':
      return;
    case 'named': {
      const found = declarationFile(type.file).find(type.name);
      if (found !== undefined) yield* walk(value, found, path);
      return;
    }
    case 'list':
      if (!Array.isArray(value)) return;
      for (const [index, item] of value.entries()) yield* walk(item, type.of, `${path}[${index}]`);
      return;
    case 'map':
      for (const [name, item] of Object.entries(value ?? {})) yield* walk(item, type.of, `${path}.${name}`);
      return;
    case 'object':
      for (const [name, item] of Object.entries(value ?? {})) {
        const field = type.fields.get(name);
        if (field === undefined) yield `${path}.${name}`;
        else yield* walk(item, field, `${path}.${name}`);
      }
  }
}

function declarationFile(path) {
  let file = files.get(path);
  if (file === undefined) {
    file = new DeclarationFile(path);
    files.set(path, file);
  }
  return file;
}

/** One file of the package's declarations, as regular as generated code is. */
class DeclarationFile {
  #interfaces = new Map();
  #imports = new Map();
  #aliases = new Map();
  #path;
  #text;
  #at = 0;

  constructor(path) {
    this.#path = path;
    this.#text = readFileSync(path, 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
    for (const [, names = '', from = ''] of this.#text.matchAll(/import \{ ([^}]*) \} from "([^"]*)";/g)) {
      for (const name of names.split(', ')) this.#imports.set(name, from);
    }
    for (const [, names = ''] of this.#text.matchAll(/export type \{ ([^}]*) \};/g)) {
      for (const [, own = '', exported = ''] of names.matchAll(/(\w+) as (\w+)/g)) this.#aliases.set(exported, own);
    }
    for (const match of this.#text.matchAll(/export interface (\w+)[^{]*/g)) {
      this.#at = match.index + match[0].length;
      this.#interfaces.set(match[1] ?? '', this.#type());
    }
  }

  only() {
    const [type] = this.#interfaces.values();
    if (type === undefined) throw new Error(`${this.#path} declares nothing`);
    return type;
  }

  find(name) {
    return this.#interfaces.get(this.#aliases.get(name) ?? name);
  }

  #type() {
    const types = [this.#single()];
    while (this.#take(/\s*\|\s*/y) !== undefined) types.push(this.#single());
    const [only] = types;
    return types.length === 1 && only !== undefined ? only : anything;
  }

  #single() {
    this.#take(/\s*/y);
    if (this.#take(/Array</y) !== undefined) {
      const of = this.#type();
      this.#take(/>/y);
      return { kind: 'list', of };
    }
    if (this.#take(/\{/y) !== undefined) return this.#body();
    if (this.#take(/"[^"]*"/y) !== undefined) return anything;
    const name = this.#take(/[\w.]+/y);
    if (name === undefined) throw new Error(`${this.#path}: ${this.#text.slice(this.#at, this.#at + 60)}`);
    const from = this.#imports.get(name);
    if (from === undefined) return anything;
    const file = this.#resolve(from);
    return file === undefined ? anything : { kind: 'named', name, file };
  }

  #body() {
    const fields = new Map();
    let ofMap;
    while (this.#take(/\s*\}/y) === undefined) {
      const name = this.#take(/\s*("[^"]+"|\[key: string\])\??:/y);
      if (name === undefined) throw new Error(`${this.#path}: ${this.#text.slice(this.#at, this.#at + 60)}`);
      const type = this.#type();
      this.#take(/;/y);
      const quoted = /"([^"]+)"/.exec(name)?.[1];
      if (quoted === undefined) ofMap = type;
      else fields.set(quoted, type);
    }
    return ofMap === undefined ? { kind: 'object', fields } : { kind: 'map', of: ofMap };
  }

  #take(pattern) {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #resolve(from) {
    const resolved = from.startsWith('.') ? join(dirname(this.#path), from) : fileURLToPath(import.meta.resolve(from));
    const path = resolved.replace(/(\.js)?$/, '.d.ts');
    return existsSync(path) ? path : undefined;
  }
}
