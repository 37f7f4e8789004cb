import { type DeploymentFiles, initialiseDeployment, startCertificateAuthority } from '@mqtt2go/certificate-authority';
import {
  defaultHomeBrokerName,
  type PlatformConfig,
  type PlatformFile,
  type RunnableService,
  removePlatformFile,
  runnableServices,
  writePlatformFile,
} from '@mqtt2go/config';
import { startDiscovery } from '@mqtt2go/discovery';
import { enrolmentBy, type MoverTimes, startFederation } from '@mqtt2go/federation';
import type { Clock } from '@mqtt2go/ports';
import { loadPlugins } from '@mqtt2go/plugin-api';
import { startProvisioning } from '@mqtt2go/provisioning';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { type ServiceHandle, serveOperations } from '@mqtt2go/runtime';
import { startTopicGenerator } from '@mqtt2go/topic-generator';
import type { Logger } from 'pino';
import { chooseAdvertiser } from './advertiser-profile.js';
import { Brokers } from './brokers.js';
import { ClockKeeper } from './clock/clock-keeper.js';
import { DataFolder } from './data-folder.js';
import { openDatabase } from './database.js';
import { builtInPlugins, networkJoinOf } from './built-in-plugins.js';
import { openEncryptionKey } from './encryption-key.js';
import { gatewayHandle } from './gateway-handle.js';
import { choosePorts } from './ports.js';
import { Renewal } from './renewal.js';
import { tellServiceManager } from './service-manager.js';
import { smallPoolSize } from './small-box.js';
import { writeServiceEnvironment } from './service-environment.js';

export interface PlatformOptions {
  readonly clock?: Clock;
  /** Called after each persisted transition of an onboarding, before anything further is done. */
  readonly onPersisted?: (state: string, onboardingId: string) => void;
  /** The same of moves of homes. */
  readonly onMoved?: ((state: string, moveId: string) => Promise<void> | void) | undefined;
  readonly moverTimes?: Partial<MoverTimes> | undefined;
}

export interface Platform {
  readonly file: PlatformFile;
  /** Host, port and name of the database; no password. */
  readonly database: string;
  /** Plugins that were asked for and are not running, a line each. */
  readonly failedPlugins: readonly string[];
  readonly dataDir: string;
  stop(): Promise<void>;
}

/**
 * Starts everything in this process, from the data folder up: database, certificates, brokers, services, and the
 * doors last. What was started is stopped again when a later part fails.
 * @throws Mqtt2goError `port_in_use`, `data_folder_locked`, `configuration_invalid`, `unavailable`
 */
export async function startPlatform(
  given: PlatformConfig,
  log: Logger,
  options: PlatformOptions = {},
): Promise<Platform> {
  const parts: { stop(): Promise<unknown> }[] = [];
  const stop = async (): Promise<void> => {
    for (const part of parts.splice(0).reverse()) await part.stop();
  };
  try {
    return { ...(await start(given, log, options, parts)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  given: PlatformConfig,
  log: Logger,
  options: PlatformOptions,
  parts: { stop(): Promise<unknown> }[],
): Promise<Omit<Platform, 'stop'>> {
  const folder = await DataFolder.open(given.dataDir, (error) =>
    log.error({ err: error }, 'the data folder was taken'),
  );
  parts.push({ stop: () => folder.close() });
  const renewal = new Renewal(log);
  const keeper = await ClockKeeper.open(folder.path, log, () => renewal.now());
  const clock = options.clock ?? keeper.clock;
  const config = { ...given, ports: await choosePorts(given) };
  const { ports } = config;

  const encryptionKey = await openEncryptionKey(config, folder);
  const database = await openDatabase(config, folder);
  parts.push(database);
  const databaseUrl = database.url;
  const tlsDir = folder.join('tls');
  const { publicHost, profile } = config;
  const isGateway = profile.homeBroker === 'local';
  if (config.invitation !== undefined && !isGateway) {
    throw new Mqtt2goError(
      'configuration_invalid',
      `MQTT2GO_INVITATION is for gateways; the profile is ${profile.name}`,
    );
  }
  const enrolling = config.invitation === undefined ? undefined : enrolmentBy(config.invitation, clock);
  const initialise = (): Promise<DeploymentFiles> =>
    initialiseDeployment({
      databaseUrl,
      encryptionKey,
      tlsDir,
      publicHost,
      hostNames: profile.hostNames,
      clock,
      log,
      enrolling,
    });
  const files = await initialise();

  const brokers = new Brokers(profile, clock, log);
  parts.push({ stop: () => brokers.close() });
  const someOutside = config.services.length < runnableServices.length;
  await brokers.openForServices(ports, files, someOutside);

  const plugins = await loadPlugins({ names: config.plugins, builtIn: builtInPlugins, clock, log });
  parts.push(plugins);
  await plugins.start();

  const advertiser = await chooseAdvertiser(config, log);
  const handles: ServiceHandle[] = [gatewayHandle(brokers, plugins, keeper.clock, advertiser)];
  /** Each shows what was renewed. */
  const renewals: ((files: DeploymentFiles) => Promise<void> | void)[] = [(renewed) => brokers.renew(renewed)];
  const run = async (service: RunnableService, startService: () => Promise<ServiceHandle>): Promise<void> => {
    if (!config.services.includes(service)) return;
    const handle = await startService();
    handles.push(handle);
    parts.push(handle);
  };
  const common = {
    log,
    clock,
    databaseUrl,
    ...(config.memory === 'small' ? { poolSize: smallPoolSize } : {}),
  };
  await Promise.all([
    run('certificate-authority', () =>
      startCertificateAuthority({ ...common, busLink: brokers.busLink('certificate-authority'), encryptionKey }),
    ),
    run('topic-generator', () =>
      startTopicGenerator({
        ...common,
        busLink: brokers.busLink('topic-generator'),
        encryptionKey,
        homeBrokers: [
          {
            name: defaultHomeBrokerName,
            admin: brokers.homeAdmin(),
            trustsGateways: true,
            controllerUrl: `mqtts://${publicHost}:${ports.home}`,
            controllerWebSocketUrl: `wss://${publicHost}:${ports.homeWss}`,
          },
        ],
      }),
    ),
  ]);
  await run('discovery', async () => {
    const handle = await startDiscovery({
      ...common,
      busLink: brokers.busLink('discovery'),
      activationLink: brokers.activationLink('discovery'),
      brokerAdmin: brokers.activationAdmin(),
      encryptionKey,
      plugins,
      ...(profile.discovery
        ? { rest: { host: config.bind, port: ports.discovery, ca: files.servicesCa, ...files.servers.discovery } }
        : {}),
    });
    renewals.push(({ servers }) => handle.setIdentity(servers.discovery));
    return handle;
  });
  await run('provisioning', async () => {
    const handle = await startProvisioning({
      ...common,
      busLink: brokers.busLink('provisioning'),
      homeBrokers: [
        {
          name: defaultHomeBrokerName,
          link: brokers.homeLink('provisioning'),
          host: publicHost,
          port: ports.home,
        },
      ],
      ...(profile.discovery
        ? {
            discovery: {
              url: `https://localhost:${ports.discovery}`,
              ca: files.ca,
              ...files.services.provisioning,
            },
          }
        : {}),
      encryptionKey: Buffer.from(encryptionKey, 'base64'),
      plugins,
      network: networkJoinOf(config, plugins),
      onPersisted: options.onPersisted,
    });
    renewals.push(({ services }) => handle.useIdentity(services.provisioning));
    return handle;
  });
  await run('federation', async () => {
    const handle = await startFederation({
      ...common,
      busLink: brokers.busLink('federation'),
      encryptionKey,
      homeBrokers: [brokers.relayLink(defaultHomeBrokerName)],
      onMoved: options.onMoved,
      moverTimes: options.moverTimes,
      cloud: !isGateway
        ? {
            host: config.bind,
            port: ports.federation,
            url: `https://${urlHost(publicHost)}:${ports.federation}`,
            ca: files.ca,
            ...files.servers.federation,
            homeBrokers: [{ name: defaultHomeBrokerName, host: publicHost, port: ports.home }],
          }
        : undefined,
      gateway: files.gateway && {
        identity: files.gateway,
        homeLink: config.bridge ? brokers.bridgeLink(files.gateway.homeId) : undefined,
      },
      rest: isGateway
        ? { host: config.managementBind, port: ports.management, ca: files.servicesCa, ...files.servers.federation }
        : undefined,
    });
    renewals.push(({ servers }) => handle.setIdentity(servers.federation));
    return handle;
  });

  renewal.start(async () => {
    const renewed = await initialise();
    for (const show of renewals) await show(renewed);
  });
  parts.push(renewal);
  await keeper.start();
  parts.push(keeper);
  if (config.services.length === runnableServices.length) await brokers.filled();
  await brokers.open(config.bind, ports, files);
  if (advertiser) {
    // Stopped before the doors close: nobody is sent to a closed one.
    parts.push(advertiser);
    await advertiser.start(ports.home);
  }
  const operations = await serveOperations(handles, {
    host: '127.0.0.1',
    port: ports.health,
  });
  parts.push({ stop: () => operations.close() });

  const file: PlatformFile = {
    profile: profile.name,
    host: publicHost,
    ports: {
      home: ports.home,
      homeWss: ports.homeWss,
      activation: ports.activation,
      ...(profile.discovery ? { discovery: ports.discovery } : {}),
      ...(isGateway ? {} : { federation: ports.federation }),
      ...(isGateway && config.services.includes('federation') ? { management: ports.management } : {}),
      bus: ports.bus,
      health: ports.health,
    },
    busUrl: `mqtts://127.0.0.1:${ports.bus}`,
    controllerUrl: `mqtts://${publicHost}:${ports.home}`,
    tlsDir,
    pid: process.pid,
    startedAt: new Date(clock.now()).toISOString(),
  };
  if (someOutside) await writeServiceEnvironment(folder, { config, databaseUrl });
  await writePlatformFile(folder.path, file);
  parts.push({ stop: () => removePlatformFile(folder.path, process.pid) });
  const isWell = async (): Promise<boolean> => {
    const reports = await Promise.all(handles.map((handle) => handle.health()));
    return !reports.some(({ dependencies }) =>
      dependencies.some(({ name, status }) => name === 'database' && status === 'down'),
    );
  };
  parts.push({ stop: await tellServiceManager(process.env, isWell, log) });
  return {
    file,
    database: database.description,
    failedPlugins: plugins.failed.map(({ error }) => error.message),
    dataDir: folder.path,
  };
}

/** An IPv6 address stands in brackets in a URL. */
function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
