import { discovery } from '@mqtt2go/messaging';
import { Authority, generateKeys, readCertificate, readPrivateKey, writePrivateKey } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Operator } from '../platform/operator.js';

/** Where a manufacturer keeps its CA unless told otherwise. */
export function defaultManufacturerDir(dataDir: string): string {
  return join(dataDir, 'manufacturer');
}

/**
 * The manufacturer's CA in a folder (ca.crt, ca.key), made on the first use. It signs what devices come into the
 * world with; the platform never has its key.
 * @throws Mqtt2goError `configuration_invalid` when what is in the folder is not a CA
 */
export async function openManufacturer(folder: string): Promise<Authority> {
  const existing = await readManufacturer(folder);
  if (existing !== undefined) return existing;
  const name = `MQTT2GO manufacturer ${randomBytes(4).toString('hex')}`;
  const keys = await generateKeys();
  const made = Authority.createRoot({
    commonName: name,
    keys,
    nowMs: Date.now(),
    // IEEE 802.1AR: what a device is born with does not expire, so neither does what signed it.
    validityMs: Number.POSITIVE_INFINITY,
    pathLength: 0,
  });
  const draft = `${folder}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await mkdir(dirname(folder), { recursive: true });
  await mkdir(draft, { mode: 0o700 });
  await writeFile(join(draft, 'ca.crt'), made.certificate, { mode: 0o644 });
  await writeFile(join(draft, 'ca.key'), writePrivateKey(keys.privateKey), { mode: 0o600 });
  try {
    // Certificate and key appear together, and of two who do this at once the first wins.
    await rename(draft, folder);
    return made;
  } catch (cause) {
    await rm(draft, { recursive: true, force: true });
    const others = await readManufacturer(folder);
    if (others !== undefined) return others;
    throw new Mqtt2goError('configuration_invalid', `${folder} cannot be made the folder of a manufacturer's CA.`, {
      cause,
    });
  }
}

async function readManufacturer(folder: string): Promise<Authority | undefined> {
  let certificate: string;
  let key: string;
  try {
    [certificate, key] = await Promise.all([
      readFile(join(folder, 'ca.crt'), 'utf8'),
      readFile(join(folder, 'ca.key'), 'utf8'),
    ]);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new Mqtt2goError('configuration_invalid', `The manufacturer's CA in ${folder} cannot be read.`, {
      cause: error,
    });
  }
  try {
    return new Authority(certificate, readPrivateKey(key));
  } catch (cause) {
    throw new Mqtt2goError(
      'configuration_invalid',
      `${folder} does not hold a CA: ca.crt and ca.key do not belong together.`,
      {
        cause,
      },
    );
  }
}

/** Makes the manufacturer known to the platform, so that its devices are let in to be activated. Repeating does no harm. */
export async function registerManufacturer(operator: Operator, authority: Authority): Promise<void> {
  const { commonName: name = 'MQTT2GO manufacturer' } = readCertificate(authority.certificate);
  await operator.bus.call(discovery.registerManufacturer, { name, certificate: authority.certificate });
}
