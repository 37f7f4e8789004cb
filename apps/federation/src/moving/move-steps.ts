import { createHash } from 'node:crypto';
import { joinPem, readCertificate, toPem } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';
import { type Part, partNames, parts, type Side } from './side.js';
import type { Move, Progress } from './moves-repository.js';

/** The two sides of one move. `cloud` is one of them, which devices without a broker come to. */
export interface Sides {
  readonly source: Side;
  readonly target: Side;
  readonly cloud: Side;
}

/** @throws Mqtt2goError with the reason why the home cannot move */
export async function checkBothSides({ homeId, moveId }: Move, { source, target }: Sides): Promise<Progress> {
  const [here, there] = await Promise.all([source.standing({ homeId }), target.standing({ homeId })]);
  if (here.standing === undefined) throw new Mqtt2goError('unknown_home');
  if (here.standing === 'moved' || here.standing === 'draining') throw new Mqtt2goError('home_has_moved');
  if (here.standing !== 'here' && here.moveId !== moveId) throw new Mqtt2goError('home_is_moving');
  if (there.standing === 'here' && there.devices > 0) throw new Mqtt2goError('conflict', 'Both sides have the home.');
  await requireTrusted(homeId, there.trustsGateways, source);
  return { devices: here.devices };
}

/** A device that has come since the move was asked for is found by the second look, before anything is on the other side. */
export async function freeze({ homeId, moveId }: Move, { source, target }: Sides): Promise<void> {
  await source.step({ homeId, moveId, step: 'freeze' });
  const { trustsGateways } = await target.standing({ homeId });
  await requireTrusted(homeId, trustsGateways, source);
}

/** @throws Mqtt2goError `gateway_not_trusted` when the target's broker would turn devices of the home away at TLS */
async function requireTrusted(homeId: string, isTrusted: boolean, source: Side): Promise<void> {
  if (isTrusted) return;
  const { devices } = await source.gatewayDevices({ homeId });
  if (devices === 0) return;
  throw new Mqtt2goError(
    'gateway_not_trusted',
    `The home's broker there is a Mosquitto that does not trust the CA of the home's gateway, from which ${devices} of its ` +
      'devices have their certificates. Have the operator make it one for homes with gateways (`gateways` in the brokers file).',
  );
}

/** @param onCopied how many records are on the other side by now */
export async function copy(
  { homeId, moveId }: Move,
  { source, target }: Sides,
  onCopied: (records: number) => Promise<void>,
): Promise<number> {
  await target.step({ homeId, moveId, step: 'receive' });
  let copied = 0;
  for (const part of partNames) {
    for await (const page of pagesOf(source, { homeId, moveId, part })) {
      await target.importPage({ homeId, moveId, part, ...page });
      copied += page.records.length;
      await onCopied(copied);
    }
  }
  return copied;
}

/**
 * Lets everybody in on the other side and compares both.
 * @returns whether the other side has all that this one has
 * @throws Mqtt2goError `another_device_is_being_added` for a device that slipped in while the home was being frozen
 */
export async function admit(move: Move, sides: Sides): Promise<boolean> {
  const { homeId, moveId } = move;
  await sides.source.step({ homeId, moveId, step: 'freeze' });
  await sides.target.step({ homeId, moveId, step: 'prepare' });
  for (const part of partNames) {
    // What a manufacturer has told the other side by itself stays.
    if (part === 'factory-records') continue;
    const wanted = new Map<string, Fingerprint>();
    for await (const { records } of pagesOf(sides.source, { homeId, moveId, part })) {
      for (const record of records) wanted.set(...fingerprint(part, record));
    }
    for await (const { records } of pagesOf(sides.target, { homeId, moveId, part })) {
      for (const record of records) {
        const [key, found] = fingerprint(part, record);
        const expected = wanted.get(key);
        if (expected !== undefined && isCovered(expected, found)) wanted.delete(key);
      }
    }
    if (wanted.size > 0) return false;
  }
  return true;
}

/** The home is the other side's from here on: that takes it, this one lets go. */
export async function handOver({ homeId, moveId }: Move, { source, target }: Sides): Promise<Progress> {
  const address = await target.address({ homeId });
  await target.step({ homeId, moveId, step: 'take' });
  await source.step({ homeId, moveId, step: 'drain', to: address });
  return { brokerHost: address.host, brokerPort: address.port };
}

/**
 * Devices that come to the Discovery server instead of a broker are told there, `until` then.
 * @param onTelling called with their ids before they are told
 */
export async function relocate(
  move: Move,
  { source, cloud }: Sides,
  until: Date,
  onTelling: (deviceIds: string[]) => Promise<void>,
): Promise<void> {
  const { homeId, moveId, brokerHost, brokerPort } = move;
  if (brokerHost === null || brokerPort === null) throw new Error('a home is told of that has no address');
  const broker = { host: brokerHost, port: brokerPort };
  const expiresAt = until.toISOString();
  const newest = new Map<string, { bundle: string; notBeforeMs: number }>();
  for await (const { records } of pagesOf(source, { homeId, moveId, part: 'certificates' })) {
    for (const record of z.array(parts.certificates).parse(records)) {
      if (record.revokedAt !== null) continue;
      const certificate = Buffer.from(record.certificate, 'base64');
      const { notBeforeMs } = readCertificate(certificate);
      if (notBeforeMs < (newest.get(record.deviceId)?.notBeforeMs ?? 0)) continue;
      const bundle = joinPem([toPem('CERTIFICATE', certificate), record.issuerChain]);
      newest.set(record.deviceId, { bundle, notBeforeMs });
    }
  }
  for await (const { records } of pagesOf(source, { homeId, moveId, part: 'factory-records' })) {
    const devices = z
      .array(parts['factory-records'])
      .parse(records)
      .flatMap(({ device_id: deviceId, activation_code }) => {
        const found = newest.get(deviceId);
        return found === undefined
          ? []
          : { deviceId, activationCode: activation_code, deviceCertificate: found.bundle };
      });
    if (devices.length === 0) continue;
    await onTelling(devices.map(({ deviceId }) => deviceId));
    await cloud.relocate({ homeId, broker, expiresAt, devices });
  }
}

export async function* pagesOf(
  side: Side,
  { homeId, moveId, part }: { homeId: string; moveId: string; part: Part },
): AsyncIterable<{ after: string; upTo?: string; records: unknown[] }> {
  let after: string | undefined = '';
  while (after !== undefined) {
    const { records, upTo }: { records: unknown[]; upTo?: string | undefined } = await side.exportPage({
      homeId,
      moveId,
      part,
      after,
    });
    yield { after, records, ...(upTo === undefined ? {} : { upTo }) };
    after = upTo;
  }
}

/** All devices of a home that the target has not met yet. */
export async function awaitedOf(homeId: string, target: Side): Promise<string[]> {
  const all: string[] = [];
  let after: string | undefined = '';
  while (after !== undefined) {
    const page: { deviceIds: string[]; upTo?: string | undefined } = await target.awaited({ homeId, after });
    all.push(...page.deviceIds);
    after = page.upTo;
  }
  return all;
}

interface Fingerprint {
  readonly digest: string;
  /** Certificates that are turned away or revoked: either side may know of more than the other. */
  readonly refused: ReadonlySet<string>;
}

/** A record's key, and all of it in short. */
function fingerprint(part: Part, record: unknown): [string, Fingerprint] {
  const refused = new Set<string>();
  const [key, content] = comparable(part, record, refused);
  return [key, { digest: createHash('sha256').update(JSON.stringify(content)).digest('base64url'), refused }];
}

function comparable(part: Part, record: unknown, refused: Set<string>): [string, unknown] {
  switch (part) {
    case 'structure':
      return ['', parts.structure.parse(record)];
    case 'devices': {
      const { certificates, ...device } = parts.devices.parse(record);
      const named = certificates.map(({ droppedAt, ...certificate }) => {
        if (droppedAt !== null) refused.add(certificate.serialNumber);
        return certificate;
      });
      return [device.deviceId, { ...device, certificates: named }];
    }
    case 'controllers': {
      const controller = parts.controllers.parse(record);
      return [controller.username, controller];
    }
    case 'onboardings': {
      const onboarding = parts.onboardings.parse(record);
      return [onboarding.deviceId, onboarding];
    }
    case 'factory-records': {
      const factory = parts['factory-records'].parse(record);
      return [factory.device_id, factory];
    }
    case 'certificates': {
      const { revokedAt, revocationReason: _reason, ...certificate } = parts.certificates.parse(record);
      if (revokedAt !== null) refused.add(certificate.serialNumber);
      return [certificate.serialNumber, certificate];
    }
  }
}

function isCovered(expected: Fingerprint, found: Fingerprint): boolean {
  return expected.digest === found.digest && [...expected.refused].every((serial) => found.refused.has(serial));
}
