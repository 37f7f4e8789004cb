/** Put in by the build; see tools/build.mjs. */
declare const __MQTT2GO_BUILT_AT__: string | undefined;

/** When this program was built, Unix time in milliseconds. Of one that runs from its sources: when this was written. */
export const builtAtMs =
  typeof __MQTT2GO_BUILT_AT__ === 'string' ? Date.parse(__MQTT2GO_BUILT_AT__) : Date.UTC(2026, 10, 1);
