import { z } from 'zod';
import { type Environment, readSettings, text } from './settings.js';

/** What `initialise broker` reads: where a broker's files come from, and where the broker finds them. */
export interface BrokerSettings {
  /** `bus`, `activation`, or the name of a home broker. */
  readonly broker: string;
  readonly source: string;
  readonly folder: string;
  /** A folder with tls.crt and tls.key. */
  readonly controllersTls: string | undefined;
  readonly accessIntervalSeconds: number;
}

const brokerSettings = {
  MQTT2GO_BROKER: text("'bus', 'activation' or the name of a home broker"),
  MQTT2GO_BROKER_SOURCE_DIR: text('the path of the folder that the broker’s Secret is mounted at'),
  MQTT2GO_BROKER_DIR: text('the path of the folder that the broker reads'),
  MQTT2GO_CONTROLLERS_TLS_DIR: text('the path of a folder with tls.crt and tls.key').optional(),
  MQTT2GO_ACCESS_INTERVAL_SECONDS: z
    .string()
    .regex(/^[1-9]\d{0,3}$/)
    .transform(Number)
    .default(15)
    .describe('the seconds between two looks at the database, from 1 to 9999'),
};

/** @throws Mqtt2goError `configuration_invalid` with a line per wrong variable */
export function readBrokerSettings(env: Environment): BrokerSettings {
  const settings = readSettings(brokerSettings, env);
  return Object.freeze({
    broker: settings.MQTT2GO_BROKER,
    source: settings.MQTT2GO_BROKER_SOURCE_DIR,
    folder: settings.MQTT2GO_BROKER_DIR,
    controllersTls: settings.MQTT2GO_CONTROLLERS_TLS_DIR,
    accessIntervalSeconds: settings.MQTT2GO_ACCESS_INTERVAL_SECONDS,
  });
}
