import 'reflect-metadata';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Clock, NetworkJoin } from '@mqtt2go/ports';
import type { DynamicModule, INestApplicationContext, InjectionToken } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { satisfies, validRange } from 'semver';
import { type PluginClass, type PluginFacts, pluginApiVersion, pluginFactsOf, pluginKinds } from './plugin.js';
import type { RevisionWire } from './revision-wire.js';

/**
 * The facts of a class, if it is made for this version of the contract.
 * @throws Mqtt2goError `plugin_incompatible`, `plugin_failed`
 */
export function checkFacts(plugin: PluginClass): PluginFacts {
  const facts = pluginFactsOf(plugin);
  const { name, kind, api } = facts ?? {};
  if (typeof name !== 'string' || !/^[a-z0-9-]{1,64}$/.test(name)) {
    throw new Mqtt2goError('plugin_failed', 'Its name is not 1 to 64 of a-z 0-9 and hyphens.');
  }
  // The range comes first: a plugin of another version may well be of a kind that is unknown here.
  if (typeof api !== 'string' || validRange(api) === null || !satisfies(pluginApiVersion, api)) {
    const range = typeof api === 'string' ? api : 'no version at all';
    throw new Mqtt2goError(
      'plugin_incompatible',
      `It is made for version ${range} of the plugin API; this is ${pluginApiVersion}.`,
    );
  }
  const known = pluginKinds.find((one) => one === kind);
  if (!known) {
    throw new Mqtt2goError('plugin_incompatible', `Its kind is none of ${pluginKinds.join(', ')}.`);
  }
  return { name, kind: known, api };
}

/** What every plugin's module can have injected: the platform's clock. */
class Given {}

/** One that was made for a version of the contract without it is made as it was then. */
function givenTo(plugin: PluginClass, clock: Clock): DynamicModule {
  const token = pluginFactsOf(plugin)?.clock;
  const tokens: InjectionToken[] = typeof token === 'function' ? [token] : [];
  return {
    module: Given,
    global: true,
    imports: [plugin],
    providers: tokens.map((provide) => ({ provide, useValue: clock })),
    exports: tokens,
  };
}

/** A plugin whose module stands, in a Nest context of its own: what it provides can break nothing else. */
export class LoadedPlugin {
  private constructor(
    readonly facts: PluginFacts,
    private readonly plugin: PluginClass,
    private readonly context: INestApplicationContext,
  ) {}

  /** Makes the module and all it provides; runs the constructors, which are to do nothing. */
  static async create(facts: PluginFacts, plugin: PluginClass, clock: Clock): Promise<LoadedPlugin> {
    // Nest ends the process on an error in a constructor unless told not to.
    const context = await NestFactory.createApplicationContext(givenTo(plugin, clock), {
      logger: false,
      abortOnError: false,
    });
    return new LoadedPlugin(facts, plugin, context);
  }

  get name(): string {
    return this.facts.name;
  }

  /**
   * The wire of a plugin of kind `revision`, else none.
   * @throws Mqtt2goError `plugin_failed` if it provides none
   */
  revisionWire(): RevisionWire | undefined {
    if (this.facts.kind !== 'revision') return undefined;
    const wire = this.#provided();
    if (!isRevisionWire(wire)) throw new Mqtt2goError('plugin_failed', 'What it provides as RevisionWire is none.');
    return wire;
  }

  /**
   * The way into the network of a plugin of kind `network-join`; none of other kinds, and none of one that was made
   * for version 1.0 of the contract, where this kind provided nothing.
   * @throws Mqtt2goError `plugin_failed` if what it provides is something else
   */
  networkJoin(): NetworkJoin | undefined {
    const token = pluginFactsOf(this.plugin)?.token;
    if (this.facts.kind !== 'network-join' || typeof token !== 'function') return undefined;
    let provided: unknown;
    try {
      provided = this.context.get<unknown>(token, { strict: false });
    } catch {
      return undefined;
    }
    if (!isNetworkJoin(provided)) throw new Mqtt2goError('plugin_failed', 'What it provides as NetworkJoin is none.');
    return provided;
  }

  /** What the plugin's module provides for its kind. */
  #provided(): unknown {
    const token = pluginFactsOf(this.plugin)?.token;
    try {
      if (typeof token === 'function') return this.context.get<unknown>(token, { strict: false });
    } catch (error) {
      throw new Mqtt2goError('plugin_failed', 'It is of kind revision but provides no RevisionWire.', { cause: error });
    }
    return undefined;
  }

  async start(): Promise<void> {
    await this.context.get(this.plugin).start?.();
  }

  async stop(): Promise<void> {
    await this.context.get(this.plugin).stop?.();
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}

const wireMethods = [
  'readHome',
  'readActivation',
  'write',
  'addDevicePath',
  'deviceTopicsPath',
] as const satisfies (keyof RevisionWire)[];

const joinMethods = ['start', 'stop', 'open', 'close', 'onEvent'] as const satisfies (keyof NetworkJoin)[];

/** By its form, as below. What `methods` holds may be known after `start` only. */
function isNetworkJoin(value: unknown): value is NetworkJoin {
  if (typeof value !== 'object' || value === null) return false;
  return joinMethods.every((name) => typeof Reflect.get(value, name) === 'function');
}

/** By its form: a plugin that was bundled extends its own copy of the class. */
function isRevisionWire(value: unknown): value is RevisionWire {
  if (typeof value !== 'object' || value === null) return false;
  const property = (name: keyof RevisionWire): unknown => Reflect.get(value, name);
  const isFilters = (filters: unknown): boolean =>
    Array.isArray(filters) && filters.every((filter) => typeof filter === 'string');
  return (
    typeof property('revision') === 'string' &&
    isFilters(property('homeFilters')) &&
    isFilters(property('activationFilters')) &&
    wireMethods.every((name) => typeof property(name) === 'function')
  );
}
