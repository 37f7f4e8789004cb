import { resolve } from 'node:path';
import { loadServiceConfig, type ServiceConfig } from './load-config.js';
import { type Environment, invalidSettings, readSettings, text } from './settings.js';

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

/** The secrets that `initialise secrets` makes where they are missing. */
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
