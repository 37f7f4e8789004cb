import { type Clock, SystemClock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { checkFacts, LoadedPlugin } from './loaded-plugin.js';
import type { PluginFacts, PluginKind } from './plugin.js';
import { findPluginClass, type PluginSource } from './plugin-source.js';
import { RevisionRegistry } from './revision-registry.js';
import type { RevisionWire } from './revision-wire.js';
import { within } from './time-limit.js';

/** As much of a logger as the host needs; pino fits. */
export interface PluginLog {
  info(context: object, message: string): void;
  error(context: object, message: string): void;
}

export interface PluginTimeLimits {
  /** For import, module and `start` each. */
  readonly startMs: number;
  readonly stopMs: number;
}

export interface LoadPluginsOptions extends PluginSource {
  /** From the configuration, in the order in which they are loaded. */
  readonly names: readonly string[];
  readonly log: PluginLog;
  /** The platform's; the machine's by default. */
  readonly clock?: Clock;
  readonly limits?: Partial<PluginTimeLimits>;
}

/** A plugin that was left out, and why. */
export interface FailedPlugin {
  /** As in the configuration. */
  readonly name: string;
  /** `plugin_incompatible` or `plugin_failed`. */
  readonly error: Mqtt2goError;
}

export interface PluginHealth {
  /** False as soon as one plugin that was asked for is not there. */
  readonly healthy: boolean;
  readonly loaded: readonly PluginFacts[];
  readonly failed: readonly { readonly name: string; readonly code: string; readonly reason: string }[];
}

/**
 * Loads plugins by the names of the configuration. Never rejects for a plugin's sake: a broken or
 * incompatible one is in `failed` and in the log with its reason, and the others go on.
 */
export async function loadPlugins(options: LoadPluginsOptions): Promise<PluginHost> {
  const host = new PluginHost(options);
  await host.load(options.names);
  return host;
}

/** The plugins of one service. */
export class PluginHost {
  readonly revisions = new RevisionRegistry();
  readonly #loaded: LoadedPlugin[] = [];
  readonly #failed: FailedPlugin[] = [];
  readonly #wires = new Map<LoadedPlugin, RevisionWire>();
  readonly #started = new Set<LoadedPlugin>();
  readonly #limits: PluginTimeLimits;

  constructor(private readonly options: Omit<LoadPluginsOptions, 'names'>) {
    this.#limits = { startMs: 10_000, stopMs: 5_000, ...options.limits };
  }

  /** What is there, in the order of the configuration. */
  get loaded(): readonly PluginFacts[] {
    return this.#loaded.map(({ facts }) => facts);
  }

  /** What was asked for and is not there. */
  get failed(): readonly FailedPlugin[] {
    return this.#failed;
  }

  ofKind(kind: PluginKind): readonly LoadedPlugin[] {
    return this.#loaded.filter(({ facts }) => facts.kind === kind);
  }

  health(): PluginHealth {
    return {
      healthy: this.#failed.length === 0,
      loaded: this.loaded,
      failed: this.#failed.map(({ name, error }) => ({ name, code: error.code, reason: error.message })),
    };
  }

  /** See {@link loadPlugins}. */
  async load(names: readonly string[]): Promise<void> {
    const seen = new Set<string>();
    for (const name of names) {
      try {
        if (seen.has(name)) throw new Mqtt2goError('plugin_failed', 'It is named twice in the configuration.');
        seen.add(name);
        await this.#loadOne(name);
      } catch (error) {
        this.#fail(name, error);
      }
    }
  }

  /** Starts all that are loaded and not started. One that fails or takes too long is left out from then on. */
  async start(): Promise<void> {
    for (const plugin of this.#loaded.filter((one) => !this.#started.has(one))) {
      try {
        this.#started.add(plugin);
        await within(this.#limits.startMs, 'Its start', () => plugin.start());
      } catch (error) {
        this.#fail(plugin.name, error);
        await this.#remove(plugin);
      }
    }
  }

  /** Stops all, the last started first. Never rejects. */
  async stop(): Promise<void> {
    for (const plugin of this.#loaded.toReversed()) await this.#remove(plugin);
  }

  async #loadOne(name: string): Promise<void> {
    const { startMs } = this.#limits;
    const pluginClass = await within(startMs, 'Its import', () => findPluginClass(name, this.options));
    const facts = checkFacts(pluginClass);
    if (this.#loaded.some((other) => other.name === facts.name)) {
      throw new Mqtt2goError('plugin_failed', `Another plugin is called ${facts.name} already.`);
    }
    const { clock = new SystemClock() } = this.options;
    const plugin = await within(startMs, 'Making its module', () => LoadedPlugin.create(facts, pluginClass, clock));
    try {
      const wire = plugin.revisionWire();
      if (wire) {
        this.revisions.add(wire);
        this.#wires.set(plugin, wire);
      }
    } catch (error) {
      await this.#close(plugin);
      throw error;
    }
    this.#loaded.push(plugin);
    this.options.log.info({ plugin: facts.name, kind: facts.kind }, `plugin ${facts.name} is loaded`);
  }

  async #remove(plugin: LoadedPlugin): Promise<void> {
    this.#loaded.splice(this.#loaded.indexOf(plugin), 1);
    const wire = this.#wires.get(plugin);
    if (wire) this.revisions.remove(wire);
    this.#wires.delete(plugin);
    // A start that failed half-way has something to stop, too.
    if (this.#started.delete(plugin)) await this.#attempt(plugin, 'Its stop', () => plugin.stop());
    await this.#close(plugin);
  }

  async #close(plugin: LoadedPlugin): Promise<void> {
    await this.#attempt(plugin, 'Closing its module', () => plugin.close());
  }

  async #attempt(plugin: LoadedPlugin, what: string, work: () => Promise<void>): Promise<void> {
    try {
      await within(this.#limits.stopMs, what, work);
    } catch (error) {
      this.options.log.error({ err: error, plugin: plugin.name }, `plugin ${plugin.name} did not stop cleanly`);
    }
  }

  #fail(name: string, cause: unknown): void {
    const error = toPluginError(name, cause);
    this.#failed.push({ name, error });
    this.options.log.error({ err: error, plugin: name, code: error.code }, error.message);
  }
}

/** One clear line, under one of the two codes of plugins. */
function toPluginError(name: string, cause: unknown): Mqtt2goError {
  const code = cause instanceof Mqtt2goError && cause.code === 'plugin_incompatible' ? cause.code : 'plugin_failed';
  const reason = cause instanceof Error ? cause.message : 'It threw something that is no error.';
  return new Mqtt2goError(code, `The plugin ${name} is left out: ${reason}`, { cause });
}
