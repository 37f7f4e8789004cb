import { readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';
import { writeWhole } from './write-whole.js';

const port = z.int().min(1).max(65_535);

/**
 * `<data>/platform.json`: where the running platform is, written by it once it is ready and read by
 * the command line. It tells addresses and no secrets; the keys are in the files below `tlsDir`.
 */
export const platformFile = z.object({
  /** The name of the profile that it runs. */
  profile: z.string().default('remote-broker'),
  /** The name or address that clients use; the servers' certificates are made for it. */
  host: z.string().min(1),
  ports: z.object({
    /** MQTT over TLS, devices and controllers. */
    home: port,
    /** MQTT over WebSocket over TLS, controllers. */
    homeWss: port,
    /** MQTT over TLS, devices that are being activated; that of `home` where there is no Discovery server. */
    activation: port,
    /** Discovery REST, HTTPS, where there is one. */
    discovery: port.optional(),
    /** The gateways' door, HTTPS; in the cloud. */
    federation: port.optional(),
    /** The operator's REST side, HTTPS; of a gateway in the house. */
    management: port.optional(),
    /** The service bus: MQTT over mutual TLS, loopback. */
    bus: port,
    /** Plain HTTP, loopback: health and metrics. */
    health: port,
  }),
  /** `mqtts://127.0.0.1:8886` */
  busUrl: z.string().min(1),
  /** Where a controller connects: `mqtts://localhost:8883`. */
  controllerUrl: z.string().min(1),
  /** The folder with ca.crt and services/<name>.{crt,key}: absolute, or seen from the platform file's folder. */
  tlsDir: z.string().min(1),
  /** The process that serves all this. */
  pid: z.int().positive(),
  /** ISO 8601, UTC. */
  startedAt: z.iso.datetime(),
});
export type PlatformFile = z.infer<typeof platformFile>;
/** What is written: of the profile `remote-broker` by default. */
export type PlatformFileContent = z.input<typeof platformFile>;

/** The path of the platform file in a data folder. */
export function platformFilePath(dataDir: string): string {
  return join(dataDir, 'platform.json');
}

/**
 * Reads the platform file of a data folder; undefined if there is none. That it is there does not
 * mean that the platform runs: a killed one leaves it behind.
 * @throws Mqtt2goError `configuration_invalid` when it cannot be read as one
 */
export async function readPlatformFile(dataDir: string): Promise<PlatformFile | undefined> {
  const path = platformFilePath(dataDir);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined;
    throw new Mqtt2goError('configuration_invalid', `${path} cannot be read.`, { cause: error });
  }
  try {
    const content = platformFile.parse(JSON.parse(text));
    return { ...content, tlsDir: resolve(dataDir, content.tlsDir) };
  } catch (error) {
    throw new Mqtt2goError('configuration_invalid', `${path} is not a platform file of this version.`, {
      cause: error,
    });
  }
}

/** Writes the platform file as a whole or not at all, so that a reader never sees half of it. */
export async function writePlatformFile(dataDir: string, content: PlatformFileContent): Promise<void> {
  await writeWhole(platformFilePath(dataDir), `${JSON.stringify(platformFile.parse(content), null, 2)}\n`);
}

/** Removes the platform file, unless another process has written its own meanwhile. Missing is fine. */
export async function removePlatformFile(dataDir: string, pid: number): Promise<void> {
  const current = await readPlatformFile(dataDir).catch(() => undefined);
  if (current === undefined || current.pid === pid) await rm(platformFilePath(dataDir), { force: true });
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
