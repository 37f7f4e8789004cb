export {
  Clock,
  NetworkJoin,
  type NetworkJoinAnswer,
  type NetworkJoinEvent,
  type NetworkJoinMethod,
  type NetworkJoinRequest,
} from '@mqtt2go/ports';
export type { LoadedPlugin } from './loaded-plugin.js';
export {
  isPluginClass,
  Mqtt2goPlugin,
  type PluginClass,
  type PluginFacts,
  type PluginKind,
  type PluginLifecycle,
  pluginApiVersion,
  pluginFactsOf,
  pluginKinds,
} from './plugin.js';
export {
  type FailedPlugin,
  type LoadPluginsOptions,
  loadPlugins,
  type PluginHealth,
  PluginHost,
  type PluginLog,
  type PluginTimeLimits,
} from './plugin-host.js';
export type { BuiltInPlugin, BuiltInPlugins, PluginSource } from './plugin-source.js';
export { RevisionRegistry } from './revision-registry.js';
export * from './revision-wire.js';
