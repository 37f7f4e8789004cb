/** Put in by the build; see tools/build.mjs. */
declare const MQTT2GO_BUILT_AT: string | undefined;

/** When this program was built, Unix time in milliseconds. Of one that runs from its sources: when this was written. */
export const builtAtMs = typeof MQTT2GO_BUILT_AT === 'string' ? Date.parse(MQTT2GO_BUILT_AT) : Date.UTC(2026, 10, 1);
