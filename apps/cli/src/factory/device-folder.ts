import type { DeviceIdentity } from '@mqtt2go/device-sdk';
import { writeFileAtomically } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const secret = 0o600;
const open = 0o644;
/** What a device that has been run leaves in its folder; nothing of it is true any more for a new one. */
const ownFiles = [
  'state.json',
  'pending.key',
  'operational.crt',
  'operational.key',
  'operational-2.crt',
  'operational-2.key',
];

/** @throws Mqtt2goError `conflict` when there is something in the folder already */
export async function requireEmptyFolder(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw new Mqtt2goError('configuration_invalid', `${folder} cannot be used as a folder.`, { cause: error });
  }
  if (names.length > 0) {
    throw new Mqtt2goError('conflict', `${folder} is not empty. Choose another folder, or overwrite it with --force.`);
  }
}

/** Writes device.json last: a folder with it is complete. */
export async function writeDeviceFolder(folder: string, identity: DeviceIdentity, label: Buffer): Promise<void> {
  for (const name of ownFiles) await rm(join(folder, name), { force: true });
  await writeFileAtomically(join(folder, 'device.key'), identity.key, secret);
  await writeFileAtomically(join(folder, 'device.crt'), identity.certificate, open);
  await writeFileAtomically(join(folder, 'ca.crt'), identity.ca, open);
  await writeFile(join(folder, 'label.png'), label, { mode: open });
  // It holds the activation code.
  await writeFileAtomically(join(folder, 'device.json'), `${JSON.stringify(identity.file, null, 2)}\n`, secret);
}
