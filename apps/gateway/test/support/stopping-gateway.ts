import 'reflect-metadata';
import { loadConfig } from '@mqtt2go/config';
import { createLogger, runMain } from '@mqtt2go/runtime';
import { startPlatform } from '../../src/platform.js';

/** The gateway, which kills itself at the moment when an onboarding has been stored in the state `STOP_AT`. */
runMain('mqtt2go', async () => {
  const config = loadConfig(process.env);
  const stopAt = process.env.STOP_AT;
  const platform = await startPlatform(config, createLogger({ level: 'error', format: 'json' }), {
    onPersisted: (state) => {
      if (state === stopAt) process.kill(process.pid, 'SIGKILL');
    },
  });
  process.send?.(platform.file);
  return platform;
});
