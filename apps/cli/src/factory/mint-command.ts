import type { Command } from 'commander';
import { keyMode } from '@mqtt2go/protocol';
import { join, resolve } from 'node:path';
import { Option } from 'commander';
import { z } from 'zod';
import { openOperator } from '../platform/operator.js';
import { readDeviceType, readId } from '../terminal/arguments.js';
import type { Context } from '../terminal/context.js';
import { pairs } from '../terminal/layout.js';
import { requireEmptyFolder, writeDeviceFolder } from './device-folder.js';
import { labelPng, labelText } from './label.js';
import { defaultManufacturerDir, openManufacturer, registerManufacturer } from './manufacturer.js';
import { mintDevice, recordDevices } from './minted-device.js';

const options = z.object({
  deviceId: z.string(),
  deviceType: z.string(),
  keyMode,
  out: z.string(),
  code: z.string().optional(),
  manufacturerDir: z.string().optional(),
  force: z.boolean().default(false),
});

export function mintCommand(
  command: Command,
  run: (action: (context: Context, options: unknown) => Promise<void>) => void,
): void {
  command
    .description('make a device: pre-loaded certificate, label with QR code, factory record')
    .requiredOption('--device-id <id>', 'what the device is called on the wire', readId)
    .requiredOption('--device-type <type>', 'such as socket, light, thermostat', readDeviceType)
    .addOption(
      new Option('--key-mode <mode>', 'whose key its operational certificate is for')
        .choices(keyMode.options)
        .default('existing-key'),
    )
    .requiredOption('--out <dir>', "the device's folder, for mqtt2go device run")
    .option('--code <code>', 'activation code; made up if left out', readId)
    .option('--manufacturer-dir <dir>', "the manufacturer's CA; <data>/manufacturer by default")
    .option('--force', 'overwrite the folder', false)
    .addHelpText(
      'after',
      `
Writes device.json, device.crt, device.key (0600), ca.crt and label.png.

Key modes:
  existing-key  the operational certificate is for the pre-loaded key (default)
  csr           the device makes a new key and sends a certificate request
  server-key    the platform makes the key and delivers it once

Example:
  $ npx mqtt2go factory mint --device-id kettle-1 \\
      --device-type socket --out kettle-1`,
    );
  run((context, given) => mint(context, options.parse(given)));
}

async function mint(context: Context, given: z.infer<typeof options>): Promise<void> {
  const { terminal, dataDir, signal } = context;
  const folder = resolve(given.out);
  if (!given.force) await requireEmptyFolder(folder);
  const operator = await openOperator(dataDir, signal);
  try {
    const authority = await openManufacturer(resolve(given.manufacturerDir ?? defaultManufacturerDir(dataDir)));
    await registerManufacturer(operator, authority);
    const device = await mintDevice(
      {
        deviceId: given.deviceId,
        deviceType: given.deviceType,
        keyMode: given.keyMode,
        ...(given.code === undefined ? {} : { activationCode: given.code }),
      },
      { authority, operator },
    );
    const { file } = device.identity;
    const label = { deviceId: file.device_id, activationCode: file.activation_code, deviceType: file.device_type };
    const png = await labelPng(label);
    await recordDevices(operator, [device]);
    await writeDeviceFolder(folder, device.identity, png);

    const qr = await labelText(label, terminal.colors.isColorSupported);
    const { bold, dim, cyan, green } = terminal.colors;
    terminal.result({ ...file, folder, label: join(folder, 'label.png') }, () =>
      [
        `${green('✓')} Minted ${bold(file.device_id)}`,
        '',
        qr.trimEnd(),
        '',
        pairs(
          [
            ['Activation code', bold(file.activation_code)],
            ['Type', file.device_type],
            ['Key mode', given.keyMode],
            ['Discovery server', `${file.discovery.host}:${file.discovery.port}`],
            ['Folder', folder],
          ],
          dim,
        ),
        '',
        `Next: ${cyan(`npx mqtt2go device run ${given.out}`)}`,
        `and   ${cyan(`npx mqtt2go controller add --credentials DIR --device-id ${file.device_id} --code ${file.activation_code}`)}`,
      ].join('\n'),
    );
  } finally {
    await operator.close();
  }
}
