import { chmod, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { PlatformConfig } from '@mqtt2go/config';
import { networkJoins } from './built-in-plugins.js';
import type { DataFolder } from './data-folder.js';

/**
 * Writes `<data>/services.env`: all that a service needs to run as a process of its own next to this one, for
 * `node --env-file`. It holds the database's password: mode 0600.
 */
export async function writeServiceEnvironment(
  folder: DataFolder,
  { config, databaseUrl }: { config: PlatformConfig; databaseUrl: string },
): Promise<void> {
  const { ports } = config;
  const lines = {
    MQTT2GO_DATA_DIR: folder.path,
    DATABASE_URL: databaseUrl,
    MQTT2GO_TLS_DIR: folder.join('tls'),
    ...(process.env.MQTT2GO_KEY
      ? { MQTT2GO_KEY: process.env.MQTT2GO_KEY }
      : { MQTT2GO_KEY_FILE: resolve(process.env.MQTT2GO_KEY_FILE || folder.join('secrets', 'encryption.key')) }),
    MQTT2GO_PUBLIC_HOST: config.publicHost,
    MQTT2GO_BIND: config.bind,
    MQTT2GO_HOME_PORT: ports.home,
    MQTT2GO_DISCOVERY_PORT: ports.discovery,
    MQTT2GO_FEDERATION_PORT: ports.federation,
    MQTT2GO_BUS_URL: `mqtts://127.0.0.1:${ports.bus}`,
    MQTT2GO_HOME_BROKER_URL: `mqtts://127.0.0.1:${ports.homeServices}`,
    MQTT2GO_ACTIVATION_BROKER_URL: `mqtts://127.0.0.1:${ports.activationServices}`,
    MQTT2GO_DISCOVERY_URL: `https://localhost:${ports.discovery}`,
    // The Wi-Fi is looked after by the gateway's own process.
    MQTT2GO_PLUGINS: config.plugins.filter((name) => !Object.hasOwn(networkJoins, name)).join(','),
    MQTT2GO_PROFILE: config.profile.name,
  };
  const text = Object.entries(lines)
    .map(([name, value]) => `${name}=${quote(String(value))}\n`)
    .join('');
  const file = folder.join('services.env');
  await writeFile(file, text, { mode: 0o600 });
  await chmod(file, 0o600);
}

/** Node.js reads no escapes in such a file: the mark is one that the value does not have. */
function quote(value: string): string {
  const mark = ["'", '"', '`'].find((one) => !value.includes(one)) ?? "'";
  return `${mark}${value}${mark}`;
}
