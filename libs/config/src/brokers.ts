import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { invalidSettings } from './settings.js';

/** The largest brokers file that is read, in bytes. */
const maxFileBytes = 262_144;
const maxHomeBrokers = 64;

/** The name of the only home broker where no brokers file names any; homes from before there were several are on the first. */
export const defaultHomeBrokerName = 'home-0';

const port = z.int().min(1).max(65_535);
const host = z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/, 'expected a host name or IP address, without scheme and port');
const path = z.string().min(1).max(4_096);

function urlOf(...protocols: readonly string[]) {
  return z
    .string()
    .max(2_048)
    .refine(
      (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol.slice(0, -1)),
      `expected a URL that begins with ${protocols.map((protocol) => `${protocol}://`).join(' or ')}`,
    );
}

/** The services' door of a broker; of a cluster the doors of its nodes, which are tried in turn. */
const servicesDoor = z
  .union([urlOf('mqtts').transform((url) => [url]), z.array(urlOf('mqtts')).min(1).max(16)])
  .describe('a URL that begins with mqtts://, or a list of them');

const management = z.strictObject({
  kind: z.enum(['rabbitmq', 'emqx']),
  /** Of a cluster those of its nodes, which are tried in turn. */
  url: z.union([urlOf('https').transform((url) => [url]), z.array(urlOf('https')).min(1).max(16)]),
  /** A file with `user:password` for the management API. */
  userFile: path,
  /** PEM trust anchors of the management API; the services' CA by default. */
  caFile: path.optional(),
});

const busBroker = z.strictObject({ kind: z.enum(['embedded', 'mosquitto']), url: servicesDoor });

const accessForms = {
  kind: z.enum(['embedded', 'mosquitto', 'http']),
  url: servicesDoor,
  accessDir: path.optional(),
  management: management.optional(),
  authPort: port.optional(),
};

const activationBroker = z
  .strictObject({
    ...accessForms,
    // What asks over HTTP cannot be told of new manufacturers.
    kind: z.enum(['embedded', 'mosquitto']),
    host: host.optional(),
    port: port.default(8885),
  })
  .superRefine(checkKind);

const homeBroker = z
  .strictObject({
    ...accessForms,
    name: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'expected a-z, 0-9 and - inside, 63 at most'),
    host: host.optional(),
    port: port.default(8883),
    controllerUrl: urlOf('mqtts').optional(),
    controllerWebSocketUrl: urlOf('wss').optional(),
    gateways: z.boolean().optional(),
  })
  .superRefine(checkKind)
  .superRefine((broker, context) => {
    // Its devices' port asks for certificates; which one takes passwords nobody else can know.
    if (broker.kind !== 'embedded' && broker.controllerUrl === undefined)
      context.addIssue({ code: 'custom', path: ['controllerUrl'], message: `needed for kind '${broker.kind}'` });
    // The others tell a device of one home from that of another by more than its name.
    if (broker.kind !== 'mosquitto' && broker.gateways !== undefined)
      context.addIssue({ code: 'custom', path: ['gateways'], message: "only for a broker of kind 'mosquitto'" });
  });

const brokersFile = z.strictObject({
  bus: busBroker,
  activation: activationBroker,
  home: z.array(homeBroker).min(1).max(maxHomeBrokers).superRefine(checkUnique),
});

interface AccessForms {
  readonly kind: string;
  readonly accessDir?: string | undefined;
  readonly management?: unknown;
  readonly authPort?: number | undefined;
}

/** Each kind has its own way to learn who may come in, and takes nothing that belongs to another. */
function checkKind(broker: AccessForms, context: z.RefinementCtx): void {
  const refuse = (key: keyof AccessForms, message: string): void => {
    context.addIssue({ code: 'custom', path: [key], message });
  };
  const isHttp = broker.kind === 'http';
  if (isHttp && broker.management === undefined) refuse('management', "needed for a broker of kind 'http'");
  if (isHttp && broker.authPort === undefined) refuse('authPort', "needed for a broker of kind 'http'");
  if (!isHttp && broker.management !== undefined) refuse('management', "only for a broker of kind 'http'");
  if (!isHttp && broker.authPort !== undefined) refuse('authPort', "only for a broker of kind 'http'");
  if (broker.kind !== 'mosquitto' && broker.accessDir !== undefined)
    refuse('accessDir', "only for a broker of kind 'mosquitto'");
}

function checkUnique(
  brokers: readonly { readonly name: string; readonly accessDir?: string | undefined }[],
  context: z.RefinementCtx,
): void {
  const refuseTwice = (key: 'name' | 'accessDir'): void => {
    const seen = new Set<string>();
    brokers.forEach((broker, index) => {
      const value = broker[key];
      if (value === undefined) return;
      if (seen.has(value))
        context.addIssue({ code: 'custom', path: [index, key], message: `'${value}' is there twice` });
      seen.add(value);
    });
  };
  refuseTwice('name');
  refuseTwice('accessDir');
}

/** How a broker learns who may come in: over MQTT, by dynsec's control topic, or by asking over HTTP. */
export type BrokerKind = 'embedded' | 'mosquitto' | 'http';

export interface BusBrokerConfig {
  readonly kind: 'embedded' | 'mosquitto';
  /** The services' door: `mqtts://…`, one at least. */
  readonly urls: readonly string[];
}

/** The management side of a broker of kind `http`: where sessions are closed. */
export interface BrokerManagement {
  readonly kind: 'rabbitmq' | 'emqx';
  /** `https://…`, one at least. */
  readonly urls: readonly string[];
  readonly userFile: string;
  readonly caFile?: string | undefined;
}

export interface AccessBrokerConfig {
  readonly kind: BrokerKind;
  /** The services' door: `mqtts://…`, one at least. */
  readonly urls: readonly string[];
  /** What devices are told to connect to. */
  readonly host: string;
  readonly port: number;
  /** Of kind `mosquitto`: where the service leaves what the broker reads when it starts. */
  readonly accessDir: string | undefined;
  /** Of kind `http`. */
  readonly management: BrokerManagement | undefined;
  /** Of kind `http`: where the service answers the broker's questions. */
  readonly authPort: number | undefined;
}

export interface HomeBrokerConfig extends AccessBrokerConfig {
  /** Homes are placed on a broker by its name, for good. */
  readonly name: string;
  /** `mqtts://…`: what controllers are told. */
  readonly controllerUrl: string;
  /** `wss://…` */
  readonly controllerWebSocketUrl: string | undefined;
  /**
   * Of kind `mosquitto`: for homes with gateways of their own. It trusts the gateways of the homes that have devices on it, and
   * knows devices by the whole subjects of their certificates.
   */
  readonly gateways: boolean;
}

/** Where the brokers are, and what kind each is. */
export interface BrokersConfig {
  readonly bus: BusBrokerConfig;
  readonly activation: AccessBrokerConfig;
  /** One at least. Homes from before there were several are on the first. */
  readonly home: readonly HomeBrokerConfig[];
}

/**
 * The file that `MQTT2GO_BROKERS` names.
 * @param publicHost the host that devices are told where the file tells none
 * @throws Mqtt2goError `configuration_invalid` with a line per fault
 */
export function readBrokersFile(file: string, publicHost: string): BrokersConfig {
  const parsed = brokersFile.safeParse(parseFile(file));
  if (!parsed.success) {
    throw invalidSettings(
      parsed.error.issues.map((issue) => {
        const place = z.core.toDotPath(issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part)));
        return `MQTT2GO_BROKERS: ${file}: ${place === '' ? '' : `${place}: `}${issue.message}`;
      }),
    );
  }
  const { bus, activation, home } = parsed.data;
  return {
    bus: { kind: bus.kind, urls: bus.url },
    activation: accessBroker(activation, publicHost),
    home: home.map((broker) => {
      const shared = accessBroker(broker, publicHost);
      const { name, controllerUrl = controllerUrlOf(shared), controllerWebSocketUrl, gateways = false } = broker;
      return { ...shared, name, controllerUrl, controllerWebSocketUrl, gateways };
    }),
  };
}

function accessBroker(
  broker: z.output<typeof activationBroker> | z.output<typeof homeBroker>,
  publicHost: string,
): AccessBrokerConfig {
  const { kind, url, host: told = publicHost, port: devicesPort, accessDir, management: manage, authPort } = broker;
  return {
    kind,
    urls: url,
    host: told,
    port: devicesPort,
    accessDir,
    management: manage && { kind: manage.kind, urls: manage.url, userFile: manage.userFile, caFile: manage.caFile },
    authPort,
  };
}

/** Embedded brokers have one port for both kinds of clients; a file says otherwise where it is not so. */
function controllerUrlOf({ host: name, port: number }: { host: string; port: number }): string {
  return `mqtts://${name.includes(':') ? `[${name}]` : name}:${number}`;
}

/** What the embedded brokers of a gateway are, by the variables for them. */
export function embeddedBrokers(addresses: {
  readonly busUrl: string;
  readonly activationUrl: string;
  readonly homeUrl: string;
  readonly publicHost: string;
  readonly activationPort: number;
  readonly homePort: number;
  readonly homeWssPort: number;
}): BrokersConfig {
  const { publicHost } = addresses;
  const embedded = { kind: 'embedded', accessDir: undefined, management: undefined, authPort: undefined } as const;
  const home = { host: publicHost, port: addresses.homePort };
  const controllerUrl = controllerUrlOf(home);
  const secure = new URL(controllerUrl);
  return {
    bus: { kind: 'embedded', urls: [addresses.busUrl] },
    activation: { ...embedded, urls: [addresses.activationUrl], host: publicHost, port: addresses.activationPort },
    home: [
      {
        ...embedded,
        name: defaultHomeBrokerName,
        urls: [addresses.homeUrl],
        ...home,
        controllerUrl,
        controllerWebSocketUrl: `wss://${secure.hostname}:${addresses.homeWssPort}`,
        gateways: false,
      },
    ],
  };
}

function parseFile(file: string): unknown {
  let text: string;
  try {
    const bytes = readFileSync(file);
    if (bytes.length > maxFileBytes) throw new Error(`${bytes.length} bytes; ${maxFileBytes} at most`);
    text = bytes.toString('utf8');
  } catch (error) {
    throw invalidSettings([`MQTT2GO_BROKERS names ${file}, which cannot be read: ${reasonOf(error)}`]);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidSettings([`MQTT2GO_BROKERS names ${file}, which is not JSON: ${reasonOf(error)}`]);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
