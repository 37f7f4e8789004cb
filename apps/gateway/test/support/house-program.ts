import 'reflect-metadata';
import { loadConfig } from '@mqtt2go/config';
import { createLogger } from '@mqtt2go/runtime';
import { startPlatform } from '../../src/index.js';

/**
 * A gateway in a house as a process of its own, by the variables of the environment; says where it is once it is ready, and
 * kills itself at the moment when a move of its home has been stored in the state `STOP_AT`. A move is undone that is not
 * decided within `DEADLINE_MS`.
 */
const config = loadConfig({ ...process.env, MQTT2GO_PROFILE: 'local-gateway' });
const platform = await startPlatform(config, createLogger({ level: 'warn', format: 'json' }), {
  ...(process.env.DEADLINE_MS !== undefined && { moverTimes: { deadlineMs: Number(process.env.DEADLINE_MS) } }),
  onMoved: (state) => {
    if (state === process.env.STOP_AT) process.kill(process.pid, 'SIGKILL');
  },
});
process.stdout.write(`${JSON.stringify(platform.file)}\n`);
