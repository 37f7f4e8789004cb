import { type DeviceState, FolderDeviceStore, renewAtMs } from '@mqtt2go/device-sdk';
import { type CertificateDetails, readCertificate } from '@mqtt2go/pki';
import type { Command } from 'commander';
import { resolve } from 'node:path';
import type { Context } from '../terminal/context.js';
import { pairs } from '../terminal/layout.js';

export function showCommand(
  command: Command,
  run: (action: (context: Context, options: unknown, folder: string) => Promise<void>) => void,
): void {
  command
    .description('tell how far a device has come, from what is in its folder')
    .argument('<dir>', 'what mqtt2go factory mint has written')
    .addHelpText(
      'after',
      `
The device may be running meanwhile, or not.

Example:
  $ npx mqtt2go device show kettle-1`,
    );
  run((context, _options, folder) => showDevice(context, resolve(folder)));
}

async function showDevice({ terminal }: Context, folder: string): Promise<void> {
  const store = new FolderDeviceStore(folder);
  const { file } = await store.identity();
  const state = await store.state();
  const credentials = await store.credentials();
  const certificate = credentials && readCertificate(credentials.certificate);
  const { bold, dim } = terminal.colors;
  terminal.result(
    {
      device_id: file.device_id,
      device_type: file.device_type,
      phase: state.phase,
      ...(state.broker === undefined ? {} : { broker: state.broker }),
      ...(certificate === undefined ? {} : { certificate: told(certificate, state) }),
      ...(state.next === undefined ? {} : { next: state.next }),
      topics: state.topics,
      settings: state.settings,
    },
    () =>
      [
        `${bold(file.device_id)} ${dim(`(${file.device_type}) in ${folder}`)}`,
        pairs([...inWords(state, certificate)], dim),
      ].join('\n'),
  );
}

function told(certificate: CertificateDetails, { key, toConfirm }: DeviceState): object {
  return {
    serial_number: certificate.serialNumber,
    key,
    not_after: new Date(certificate.notAfterMs).toISOString(),
    renews_at: new Date(renewAtMs(certificate)).toISOString(),
    renewal_to_confirm: toConfirm,
  };
}

function* inWords(state: DeviceState, certificate: CertificateDetails | undefined): Generator<[string, string]> {
  const phases = {
    factory: 'as it left the factory',
    joined: 'has its broker and certificate, waits for its name',
    active: 'active',
  };
  yield ['State', phases[state.phase]];
  if (state.broker !== undefined) yield ['Broker', address(state.broker)];
  if (certificate !== undefined) {
    yield ['Certificate', certificate.serialNumber];
    yield ['', `until ${day(certificate.notAfterMs)}, to be renewed from ${day(renewAtMs(certificate))} on`];
    yield ['', `for ${state.key === 'pre-loaded' ? 'the key from the factory' : 'a key of its own'}`];
    if (state.toConfirm) yield ['', 'renewed; the platform has still to be told that it works'];
  }
  if (state.next?.broker !== undefined) yield ['Is to try', `the broker ${address(state.next.broker)}`];
  if (state.next?.key !== undefined) yield [state.next.broker ? '' : 'Is to try', 'another certificate'];
  for (const [at, topic] of state.topics.entries()) yield [at === 0 ? 'Topics' : '', topic];
  if (Object.keys(state.settings).length > 0) yield ['Remembers', JSON.stringify(state.settings)];
}

function address({ host, port }: { host: string; port: number }): string {
  return `${host}:${port}`;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
