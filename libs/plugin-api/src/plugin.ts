import { type Abstract, Module, type ModuleMetadata, type Type } from '@nestjs/common';
import { Clock, NetworkJoin } from '@mqtt2go/ports';
import { RevisionWire } from './revision-wire.js';

/** The version of the contract in this folder; plugins name the range of it that they are made for. */
export const pluginApiVersion = '1.3.0';

/** What a plugin adds. A kind says what the plugin's module has to provide and export. */
export const pluginKinds = ['revision', 'network-join', 'translator', 'notifier'] as const;
export type PluginKind = (typeof pluginKinds)[number];

/** What a plugin says of itself. */
export interface PluginFacts {
  /** Unique among the loaded ones: 1 to 64 of a-z 0-9 and hyphens. */
  readonly name: string;
  readonly kind: PluginKind;
  /** A semver range of {@link pluginApiVersion}, such as `^1.0.0`. */
  readonly api: string;
}

/**
 * A plugin may do something when the services start and stop. Constructors do nothing: no connection, no
 * timer, no file. Both have a time limit; a plugin that fails here is left out and the others go on.
 */
export interface PluginLifecycle {
  start?(): Promise<void> | void;
  stop?(): Promise<void> | void;
}

export type PluginClass = Type<PluginLifecycle>;

/** What the module of a plugin has to provide and export, by kind; kinds without an entry are lifecycles only. */
const tokens: Readonly<Partial<Record<PluginKind, Abstract<unknown>>>> = {
  revision: RevisionWire,
  'network-join': NetworkJoin,
};

/**
 * Shared by all copies of this library: a plugin that was bundled brings a copy of its own. For the same reason the
 * decorator notes the tokens, which as classes are others in each copy.
 */
const factsKey = Symbol.for('mqtt2go.plugin');

/**
 * Makes a class a plugin: a Nest module with metadata.
 *
 * @example
 * ```ts
 * @Mqtt2goPlugin({ name: 'revision-9', kind: 'revision', api: '^1.0.0',
 *   providers: [{ provide: RevisionWire, useClass: Revision9Wire }], exports: [RevisionWire] })
 * export class Revision9Plugin {}
 * ```
 */
export function Mqtt2goPlugin(metadata: PluginFacts & ModuleMetadata): ClassDecorator {
  const { name, kind, api, ...moduleMetadata } = metadata;
  const asModule = Module(moduleMetadata);
  return (target) => {
    asModule(target);
    Object.defineProperty(target, factsKey, {
      value: Object.freeze({ name, kind, api, token: tokens[kind], clock: Clock }),
    });
  };
}

/**
 * What a class says of itself by {@link Mqtt2goPlugin}; `undefined` for anything else. The values are
 * unchecked: they may come from a plugin that was made for another version of this contract.
 */
export function pluginFactsOf(
  value: unknown,
): Readonly<Record<keyof PluginFacts | 'token' | 'clock', unknown>> | undefined {
  if (typeof value !== 'function' || !Object.hasOwn(value, factsKey)) return undefined;
  const facts: unknown = Reflect.get(value, factsKey);
  if (typeof facts !== 'object' || facts === null) return undefined;
  const fact = (name: string): unknown => Reflect.get(facts, name);
  return { name: fact('name'), kind: fact('kind'), api: fact('api'), token: fact('token'), clock: fact('clock') };
}

/** True for a class under {@link Mqtt2goPlugin}. */
export function isPluginClass(value: unknown): value is PluginClass {
  return pluginFactsOf(value) !== undefined;
}
