import { resolve } from 'node:path';
import { defaultHomeBrokerName } from './brokers.js';
import { loadServiceConfig, type ServiceConfig } from './load-config.js';
import { type Environment, invalidSettings, port, readSettings, text } from './settings.js';

/** What `initialise` reads: what a service reads, and where the deployment's files go. */
export interface DeploymentConfig extends ServiceConfig {
  readonly encryptionKey: Uint8Array<ArrayBuffer>;
  /** Absolute. */
  readonly deploymentDir: string;
}

const deploymentSettings = {
  MQTT2GO_DEPLOYMENT_DIR: text('the path of a folder').default('./deployment'),
};

/** @throws Mqtt2goError `configuration_invalid` with a line per wrong variable */
export function loadDeploymentConfig(env: Environment): DeploymentConfig {
  const config = loadServiceConfig(env);
  const { encryptionKey } = config;
  if (encryptionKey === undefined) {
    throw invalidSettings([
      'neither MQTT2GO_KEY nor MQTT2GO_KEY_FILE is set; one of them has to give 32 bytes in base64',
    ]);
  }
  return Object.freeze({ ...config, encryptionKey, deploymentDir: deploymentFolder(env) });
}

/** The absolute path of the folder that a deployment's files go to. @throws Mqtt2goError `configuration_invalid` */
export function deploymentFolder(env: Environment): string {
  return resolve(readSettings(deploymentSettings, env).MQTT2GO_DEPLOYMENT_DIR);
}

const madeSettings = {
  MQTT2GO_KEY_FILE: text('the path of a file for the key-encryption key').optional(),
  MQTT2GO_DATABASE_PASSWORD_FILE: text('the path of a file for the database password').optional(),
  DATABASE_URL_FILE: text('the path of a file for the database URL').optional(),
  MQTT2GO_DATABASE_HOST: text('the host of the database, with its port if that is not 5432').default('postgres'),
  MQTT2GO_DATABASE_NAME: text('the name of the database').default('mqtt2go'),
  MQTT2GO_DATABASE_USER: text('the name of the database user').default('postgres'),
};

/** The secrets that `initialise prepare` makes where they are missing. */
export interface SecretFiles {
  readonly keyFile: string | undefined;
  readonly passwordFile: string | undefined;
  readonly databaseUrlFile: string | undefined;
  /** The database's URL, with this password. */
  readonly databaseUrl: (password: string) => string;
}

/** @throws Mqtt2goError `configuration_invalid` with a line per wrong variable */
export function loadSecretFiles(env: Environment): SecretFiles {
  const settings = readSettings(madeSettings, env);
  const { MQTT2GO_DATABASE_HOST: host, MQTT2GO_DATABASE_NAME: name, MQTT2GO_DATABASE_USER: user } = settings;
  return {
    keyFile: settings.MQTT2GO_KEY_FILE,
    passwordFile: settings.MQTT2GO_DATABASE_PASSWORD_FILE,
    databaseUrlFile: settings.DATABASE_URL_FILE,
    databaseUrl: (password) => `postgres://${user}:${encodeURIComponent(password)}@${host}/${name}`,
  };
}

const composeSettings = {
  MQTT2GO_BROKERS: text('the path of a brokers file to write').optional(),
  MQTT2GO_PUBLIC_HOST: text('a host name or IP address').default('localhost'),
  MQTT2GO_HOME_PORT: port(8883),
  MQTT2GO_HOME_WSS_PORT: port(8884),
  MQTT2GO_HOME_CONTROLLERS_PORT: port(8889),
  MQTT2GO_ACTIVATION_PORT: port(8885),
  MQTT2GO_BUS_HOST: text('a host, with its port').default('bus:8886'),
  MQTT2GO_HOME_BROKER_HOST: text('a host, with its port').default('home-0:8887'),
  MQTT2GO_ACTIVATION_BROKER_HOST: text('a host, with its port').default('activation:8888'),
  MQTT2GO_ACCESS_DIR: text('the path of a folder, with {name} for the name of the broker').default('/access/{name}'),
};

/** A brokers file for one Mosquitto of each role, by variables instead of by hand. */
export interface SmallBrokersFile {
  /** Where it goes; undefined when none is wanted. */
  readonly file: string | undefined;
  readonly content: string;
}

/** @throws Mqtt2goError `configuration_invalid` with a line per wrong variable */
export function smallBrokersFile(env: Environment): SmallBrokersFile {
  const settings = readSettings(composeSettings, env);
  const { MQTT2GO_PUBLIC_HOST: host, MQTT2GO_ACCESS_DIR: accessDir } = settings;
  const authority = host.includes(':') ? `[${host}]` : host;
  const content = {
    bus: { kind: 'mosquitto', url: `mqtts://${settings.MQTT2GO_BUS_HOST}` },
    activation: {
      kind: 'mosquitto',
      url: `mqtts://${settings.MQTT2GO_ACTIVATION_BROKER_HOST}`,
      host,
      port: settings.MQTT2GO_ACTIVATION_PORT,
      accessDir: accessDir.replaceAll('{name}', 'activation'),
    },
    home: [
      {
        name: defaultHomeBrokerName,
        kind: 'mosquitto',
        url: `mqtts://${settings.MQTT2GO_HOME_BROKER_HOST}`,
        host,
        port: settings.MQTT2GO_HOME_PORT,
        controllerUrl: `mqtts://${authority}:${settings.MQTT2GO_HOME_CONTROLLERS_PORT}`,
        controllerWebSocketUrl: `wss://${authority}:${settings.MQTT2GO_HOME_WSS_PORT}`,
        accessDir: accessDir.replaceAll('{name}', defaultHomeBrokerName),
        // Of one operator, and the only one: without it no home could come from its gateway.
        gateways: true,
      },
    ],
  };
  return { file: settings.MQTT2GO_BROKERS, content: `${JSON.stringify(content, null, 2)}\n` };
}
