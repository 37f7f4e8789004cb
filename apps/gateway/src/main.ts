import 'reflect-metadata';
import { loadConfig, type LogConfig, type PlatformConfig } from '@mqtt2go/config';
import { createLogger, runMain } from '@mqtt2go/runtime';
import { withArguments } from './arguments.js';
import { type Platform, startPlatform } from './platform.js';
import { readyPanel } from './ready-panel.js';
import { keepHeapSmall } from './small-box.js';

runMain('mqtt2go', async () => {
  const config = loadConfig(withArguments(process.argv.slice(2), process.env));
  if (config.memory === 'small') keepHeapSmall();
  const wantsJson = process.env.MQTT2GO_LOG_FORMAT === 'json';
  const log = createLogger(wantsJson ? config.log : logForPeople(config));
  const platform = await startPlatform(config, log);
  if (wantsJson) log.info({ ...platform.file, failedPlugins: platform.failedPlugins }, 'ready');
  else process.stdout.write(readyPanel(panelOf(config, platform), process.stdout.isTTY));
  return platform;
});

/** Below the panel a person wants to read of trouble, not of every device; what the variables say goes before. */
function logForPeople({ log }: PlatformConfig): LogConfig {
  return { level: process.env.MQTT2GO_LOG_LEVEL === undefined ? 'warn' : log.level, format: 'pretty' };
}

function panelOf(config: PlatformConfig, platform: Platform): Parameters<typeof readyPanel>[0] {
  return {
    profile: config.profile.name,
    readyMs: process.uptime() * 1000,
    host: platform.file.host,
    ports: platform.file.ports,
    bind: config.bind,
    dataDir: platform.dataDir,
    database: platform.database,
    services: config.services,
    failedPlugins: platform.failedPlugins,
  };
}
