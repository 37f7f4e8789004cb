import 'reflect-metadata';
import { loadConfig } from '@mqtt2go/config';
import { createLogger, runMain } from '@mqtt2go/runtime';
import { startPlatform } from '../../src/platform.js';

/** The gateway, as one that is in a house. */
runMain('mqtt2go', async () => {
  const config = loadConfig({ ...process.env, MQTT2GO_PROFILE: 'local-gateway' });
  const platform = await startPlatform(config, createLogger({ level: 'warn', format: 'json' }));
  process.stdout.write('ready\n');
  return platform;
});
