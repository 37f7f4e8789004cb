import { readFile } from 'node:fs/promises';
import { SecretText } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';

const name = z.string().regex(/^[A-Za-z0-9._-]{1,32}$/, '1 to 32 of A-Z a-z 0-9 . _ -');

const schema = z.object({
  /** uhttpd's ubus, `https://192.168.1.1/ubus`. */
  MQTT2GO_OPENWRT_URL: z.url({ protocol: /^https$/, error: 'an address that begins with https://' }),
  /** A file with the user on its first line and the password on its second. */
  MQTT2GO_OPENWRT_CREDENTIALS_FILE: z.string().min(1, 'the path of a file'),
  /** A file with the CA of the router's certificate, or with that certificate itself. */
  MQTT2GO_OPENWRT_CA_FILE: z.string().min(1).optional(),
  /** In place of a CA: the SHA-256 of the router's certificate, 64 hexadecimal digits, colons allowed. */
  MQTT2GO_OPENWRT_CERTIFICATE_SHA256: z
    .string()
    .regex(/^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$/, '64 hexadecimal digits')
    .optional(),
  /** The radio (`wifi-device`) that carries the guest network. */
  MQTT2GO_OPENWRT_RADIO: name.default('radio0'),
  /** The network that guests become a part of; without it there is no guest network. */
  MQTT2GO_OPENWRT_GUEST_NETWORK: name.optional(),
  /** The interface whose hostapd has the push button; without it there is none. */
  MQTT2GO_OPENWRT_WPS_INTERFACE: name.optional(),
  /** Milliseconds that the router has for an answer. */
  MQTT2GO_OPENWRT_TIMEOUT_MS: z.coerce.number().int().min(100).max(30_000).default(5_000),
});

export interface OpenwrtSettings extends z.infer<typeof schema> {
  readonly user: string;
  readonly password: SecretText;
  /** PEM */
  readonly ca?: string;
}

/** @throws Mqtt2goError `configuration_invalid`, with the variable and what it takes */
export async function readOpenwrtSettings(env: Readonly<Record<string, string | undefined>>): Promise<OpenwrtSettings> {
  const parsed = schema.safeParse(env);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const variable = String(issue?.path[0]);
    throw new Mqtt2goError('configuration_invalid', `${variable} is not as expected: ${issue?.message}.`);
  }
  const settings = parsed.data;
  const { MQTT2GO_OPENWRT_CREDENTIALS_FILE: file, MQTT2GO_OPENWRT_CA_FILE: caFile } = settings;
  const [user = '', password = ''] = (await read('MQTT2GO_OPENWRT_CREDENTIALS_FILE', file)).split(/\r?\n/);
  if (user === '' || password === '') {
    const detail =
      'The file of MQTT2GO_OPENWRT_CREDENTIALS_FILE has no user on its first line or no password on its second.';
    throw new Mqtt2goError('configuration_invalid', detail);
  }
  const ca = caFile === undefined ? {} : { ca: await read('MQTT2GO_OPENWRT_CA_FILE', caFile) };
  return { ...settings, user, password: new SecretText(password), ...ca };
}

async function read(variable: string, file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Mqtt2goError('configuration_invalid', `The file of ${variable} (${file}) cannot be read.`, { cause });
  });
}
