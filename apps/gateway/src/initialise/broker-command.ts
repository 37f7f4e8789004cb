import { type Environment, loadServiceConfig, readBrokerSettings } from '@mqtt2go/config';
import { SystemClock } from '@mqtt2go/ports';
import { checkHealth, type Running, serveOperations } from '@mqtt2go/runtime';
import type { Logger } from 'pino';
import { AccessKeeper, openAccessSource, writeBrokerFiles } from './broker-folder.js';

/**
 * `broker`: puts a broker's folder together, from its Secret and from the database, and ends. `broker --watch`: keeps the
 * access in it up to date until it is stopped.
 */
export async function runBrokerCommand(env: Environment, watch: boolean, log: Logger): Promise<Running> {
  const settings = readBrokerSettings(env);
  const { broker, folder } = settings;
  if (!watch) await writeBrokerFiles(settings);
  if (broker === 'bus') return { stop: async () => undefined };

  const { databaseUrl, brokers, healthBind, ports } = loadServiceConfig(env);
  const isFirst = brokers.home[0]?.name === broker;
  const gateways = brokers.home.some((home) => home.name === broker && home.gateways);
  const keeper = new AccessKeeper({
    folder,
    intervalMs: settings.accessIntervalSeconds * 1_000,
    log,
    open: () => openAccessSource({ databaseUrl, broker, isFirst, gateways, clock: new SystemClock(), log }),
  });
  if (!watch) {
    await keeper.once();
    log.info({ broker, folder }, 'the files of the broker are in order');
    return { stop: async () => undefined };
  }
  const name = `access of ${broker}`;
  const health = () => checkHealth(name, [{ name: 'database', check: () => keeper.check() }]);
  const handle = { name, health, metrics: async () => '', stop: async () => keeper.stop() };
  const operations = await serveOperations([handle], { host: healthBind, port: ports.health });
  const kept = keeper.keep();
  return {
    async stop() {
      keeper.stop();
      await kept;
      await operations.close();
    },
  };
}
