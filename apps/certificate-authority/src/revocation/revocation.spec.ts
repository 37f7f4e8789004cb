import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { certificateAuthority } from '@mqtt2go/messaging';
import { REVOCATION_LIST_VALIDITY_MS } from '@mqtt2go/pki';
import { X509Certificate, X509Crl, X509CrlReason } from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { AuthorityStand, newDeviceId, refusal } from '../../test/authority-stand.js';

let stand: AuthorityStand;

beforeAll(async () => {
  stand = await AuthorityStand.start();
});
afterAll(() => stand.stop());

const revoke = (input: z.input<typeof certificateAuthority.revokeCertificates.input>) =>
  stand.call(certificateAuthority.revokeCertificates, input);

async function currentList(): Promise<{ crl: X509Crl; number: number; serialNumbers: string[] }> {
  const { crl: pem, issuing } = await stand.call(certificateAuthority.getAuthority, {});
  const crl = new X509Crl(pem);
  expect(await crl.verify({ publicKey: new X509Certificate(issuing) })).toBe(true);
  const value = crl.extensions.find(({ type }) => type === '2.5.29.20')?.value;
  const number = Number.parseInt(
    Buffer.from(value ?? new ArrayBuffer())
      .toString('hex')
      .slice(4),
    16,
  );
  return { crl, number, serialNumbers: crl.entries.map(({ serialNumber }) => serialNumber.toUpperCase()) };
}

describe('revoking', () => {
  it('takes one certificate, or all of a device, and says the same when it is asked again', async () => {
    const deviceId = newDeviceId();
    const first = await stand.issue({ deviceId });
    const second = await stand.issue({ deviceId });
    const only = { revoked: [first.serialNumber] };
    const all = { revoked: [first.serialNumber, second.serialNumber].sort() };
    expect(await revoke({ serialNumber: first.serialNumber })).toEqual(only);
    expect(await revoke({ serialNumber: first.serialNumber })).toEqual(only);
    expect(await revoke({ deviceId })).toEqual(all);
    expect(await revoke({ deviceId })).toEqual(all);
  });

  it('refuses what it does not know, and what names nothing', async () => {
    const { serialNumber } = await stand.issue();
    await expect(revoke({ serialNumber: 'AA' })).rejects.toMatchObject(refusal('unknown_certificate'));
    await expect(revoke({ deviceId: newDeviceId() })).rejects.toMatchObject(refusal('unknown_certificate'));
    await expect(revoke({ serialNumber, deviceId: newDeviceId() })).rejects.toMatchObject(
      refusal('unknown_certificate'),
    );
    await expect(revoke({})).rejects.toMatchObject(refusal('malformed_message'));
  });

  it('has the brokers turn the device away, whether it was revoked or abandoned', async () => {
    const deviceId = newDeviceId();
    const onboardingId = randomUUID();
    const first = await stand.issue({ deviceId });
    const second = await stand.issue({ deviceId, onboardingId });
    await revoke({ serialNumber: first.serialNumber });
    await stand.settle(onboardingId, 'abandoned');
    for (const { serialNumber } of [first, second]) {
      const withdrawal = { deviceId, serialNumbers: [serialNumber] };
      await expect.poll(() => stand.withdrawals.items).toContainEqual(withdrawal);
    }
  });

  it('has the brokers turn all of more certificates away than go into one message', async () => {
    const deviceId = newDeviceId();
    const issued = await Promise.all(Array.from({ length: 70 }, () => stand.issue({ deviceId })));
    const { revoked } = await revoke({ deviceId });
    expect(revoked).toEqual(issued.map(({ serialNumber }) => serialNumber).sort());
    const withdrawn = () =>
      stand.withdrawals.items.filter((item) => item.deviceId === deviceId).flatMap((item) => item.serialNumbers);
    await expect.poll(() => withdrawn().sort()).toEqual(revoked);
  });

  it('has the brokers turn the device away when the topic generator was not there', async () => {
    await stand.stopTopicGenerator();
    const deviceId = newDeviceId();
    const { serialNumber } = await stand.issue({ deviceId });
    await revoke({ serialNumber });
    await stand.restart();
    await stand.startTopicGenerator();
    const withdrawal = { deviceId, serialNumbers: [serialNumber] };
    await expect.poll(() => stand.withdrawals.items, { timeout: 12_000 }).toContainEqual(withdrawal);
  });

  it('is counted once', async () => {
    const { serialNumber } = await stand.issue();
    await revoke({ serialNumber, reason: 'affiliationChanged' });
    await revoke({ serialNumber, reason: 'affiliationChanged' });
    expect(await stand.handle.metrics()).toMatch(
      /mqtt2go_certificates_revoked_total\{reason="affiliationChanged",service="[a-z-]+"\} 1\n/,
    );
  });
});

describe('the revocation list', () => {
  it('tells each revocation with its time and reason', async () => {
    const { serialNumber } = await stand.issue();
    await revoke({ serialNumber, reason: 'keyCompromise' });
    const { crl } = await currentList();
    const entry = crl.entries.find((found) => found.serialNumber.toUpperCase() === serialNumber);
    expect(entry?.reason).toBe(X509CrlReason.keyCompromise);
    expect(entry?.revocationDate.getTime()).toBe(stand.clock.now());
  });

  it('is the same until there is something new, and then has a greater number', async () => {
    const { serialNumber } = await stand.issue();
    const before = await currentList();
    expect((await currentList()).crl.toString('pem')).toBe(before.crl.toString('pem'));
    await revoke({ serialNumber });
    const after = await currentList();
    expect(after.number).toBe(before.number + 1);
    expect(before.serialNumbers).not.toContain(serialNumber);
    expect(after.serialNumbers).toContain(serialNumber);
  });

  it('is made anew before it ends', async () => {
    const before = await currentList();
    stand.clock.advance(REVOCATION_LIST_VALIDITY_MS / 2);
    const after = await currentList();
    expect(after.number).toBe(before.number + 1);
    expect(after.crl.nextUpdate?.getTime()).toBe(stand.clock.now() + REVOCATION_LIST_VALIDITY_MS);
  });

  it('is made anew when it is from a future in which the clock was wrongly', async () => {
    const wrongMs = 3_650 * 86_400_000;
    stand.clock.advance(wrongMs);
    const before = await currentList();
    stand.clock.advance(-wrongMs);
    const after = await currentList();
    expect(after.number).toBe(before.number + 1);
    expect(after.crl.thisUpdate.getTime()).toBe(stand.clock.now());
  });

  it('leaves out none of many revocations at once, at two replicas', async () => {
    const replica = await stand.startReplica();
    try {
      const issued = await Promise.all(Array.from({ length: 20 }, () => stand.issue()));
      const asked = issued.map(async ({ serialNumber }, n) => {
        const one = n % 2 === 0 ? stand : replica;
        await one.call(certificateAuthority.revokeCertificates, { serialNumber });
        const { crl } = await one.call(certificateAuthority.getAuthority, {});
        expect(new X509Crl(crl).entries.map((entry) => entry.serialNumber.toUpperCase())).toContain(serialNumber);
      });
      await Promise.all(asked);
    } finally {
      await replica.stop();
    }
  });
});
