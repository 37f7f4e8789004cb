import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { isPluginClass, type PluginClass } from './plugin.js';

/** A plugin that comes with the program: its class, or the way to it. */
export type BuiltInPlugin = PluginClass | (() => Promise<PluginClass>);
export type BuiltInPlugins = ReadonlyMap<string, BuiltInPlugin> | Readonly<Record<string, BuiltInPlugin>>;

/** Where plugins come from: the program itself, a path, an installed package. Never a network. */
export interface PluginSource {
  readonly builtIn: BuiltInPlugins;
  /** `import()` by default. Gets a `file:` address for a path, else the name of a package. */
  readonly importModule?: (specifier: string) => Promise<unknown>;
  /** What a path is relative to; the working folder by default. */
  readonly baseDir?: string;
}

const packageName = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*(\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$/;

/**
 * Finds a plugin's class by its name in the configuration.
 * @throws Mqtt2goError `plugin_failed`
 */
export async function findPluginClass(name: string, source: PluginSource): Promise<PluginClass> {
  const builtIn = builtInOf(name, source.builtIn);
  if (builtIn) return isPluginClass(builtIn) ? builtIn : builtIn();

  const specifier = specifierOf(name, source.baseDir ?? process.cwd());
  const importModule = source.importModule ?? ((from: string): Promise<unknown> => import(from));
  const module = await importModule(specifier).catch((cause: unknown) => {
    if (!isMissing(specifier, cause)) throw cause;
    throw new Mqtt2goError('plugin_failed', 'It is neither built in nor installed.', { cause });
  });
  const exported = typeof module === 'object' && module !== null ? Object.values(module) : [];
  const [plugin, ...others] = new Set(exported.filter(isPluginClass));
  if (!plugin) throw new Mqtt2goError('plugin_failed', 'It exports no class under @Mqtt2goPlugin.');
  if (others.length > 0)
    throw new Mqtt2goError('plugin_failed', 'It exports more than one class under @Mqtt2goPlugin.');
  return plugin;
}

/** True if Node.js found no such package; false if it misses something that the plugin itself imports. */
function isMissing(specifier: string, error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') return false;
  return error.message.startsWith(`Cannot find package '${specifier}'`);
}

function builtInOf(name: string, builtIn: BuiltInPlugins): BuiltInPlugin | undefined {
  const entries = isMap(builtIn) ? builtIn : new Map(Object.entries(builtIn));
  return entries.get(name);
}

function isMap(builtIn: BuiltInPlugins): builtIn is ReadonlyMap<string, BuiltInPlugin> {
  return builtIn instanceof Map;
}

function specifierOf(name: string, baseDir: string): string {
  // Two slashes in front are another machine's share on Windows.
  const isNetworkPath = /^[\\/]{2}/.test(name);
  if (!isNetworkPath && (isAbsolute(name) || /^\.\.?[\\/]/.test(name)))
    return pathToFileURL(resolve(baseDir, name)).href;
  if (isNetworkPath || /^[a-z][a-z0-9+.-]*:/i.test(name)) {
    throw new Mqtt2goError(
      'plugin_failed',
      'A plugin is a built-in name, a path or an installed package; never a URL.',
    );
  }
  if (!packageName.test(name)) {
    throw new Mqtt2goError('plugin_failed', 'This is neither a built-in name, nor a path, nor the name of a package.');
  }
  return name;
}
