import { certificateAuthority } from '@mqtt2go/messaging';
import {
  createCertificateRequest,
  DEVICE_VALIDITY_MS,
  generateKeys,
  readCertificate,
  splitDeviceBundle,
  writePublicKey,
} from '@mqtt2go/pki';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AuthorityStand, newDevice, refusal } from '../../test/authority-stand.js';

let stand: AuthorityStand;

beforeAll(async () => {
  stand = await AuthorityStand.start();
});
afterAll(() => stand.stop());

const renew = (deviceId: string, serialNumber?: string, csr?: string) =>
  stand.call(certificateAuthority.renewDeviceCertificate, { deviceId, serialNumber, csr });

async function activeDevice() {
  const device = await newDevice();
  const { deviceId, publicKey } = device;
  const issued = await stand.issue({ deviceId, keyMode: 'existing-key', publicKey });
  return { ...device, ...issued };
}

async function goodOf(deviceId: string): Promise<unknown[]> {
  const rows = await stand.query(
    'SELECT serial_number FROM device_certificate WHERE device_id = $1 AND revoked_at IS NULL ORDER BY not_before',
    [deviceId],
  );
  return rows.map((row) => row['serial_number']);
}

/** What the brokers are told to turn away. */
async function withdrawnOf(deviceId: string): Promise<readonly string[] | undefined> {
  const withdrawn = () => stand.withdrawals.items.find((withdrawal) => withdrawal.deviceId === deviceId);
  await waitFor(() => withdrawn() !== undefined, 'the withdrawal');
  return withdrawn()?.serialNumbers;
}

async function revocationsOf(deviceId: string): Promise<unknown[][]> {
  const rows = await stand.query(
    'SELECT serial_number, revocation_reason FROM device_certificate WHERE device_id = $1 AND revoked_at IS NOT NULL',
    [deviceId],
  );
  return rows.map((row) => [row['serial_number'], row['revocation_reason']]);
}

const publicKeyOf = (bundle: string): string =>
  writePublicKey(readCertificate(splitDeviceBundle(bundle).certificate).publicKey);

describe('a device that asks for the certificate after its own', () => {
  let advanced = 0;
  const advance = (ms: number): void => {
    advanced += ms;
    stand.clock.advance(ms);
  };
  afterEach(() => {
    stand.clock.advance(-advanced);
    advanced = 0;
  });

  it('gets its own again as long as that is not due, and nothing is issued', async () => {
    const { deviceId, serialNumber, deviceCertificate } = await activeDevice();
    advance(DEVICE_VALIDITY_MS * 0.49);
    expect(await renew(deviceId, serialNumber)).toEqual({ serialNumber, deviceCertificate });
    expect(await renew(deviceId)).toEqual({ serialNumber, deviceCertificate });
    expect(await goodOf(deviceId)).toEqual([serialNumber]);
  });

  it('gets the next one when half of the time is over, the same each time, and keeps the one it has', async () => {
    const { deviceId, serialNumber, publicKey } = await activeDevice();
    advance(DEVICE_VALIDITY_MS * 0.51);
    const renewed = await renew(deviceId, serialNumber);
    expect(renewed.serialNumber).not.toBe(serialNumber);
    expect(publicKeyOf(renewed.deviceCertificate)).toBe(publicKey);
    expect(splitDeviceBundle(renewed.deviceCertificate).privateKey).toBeUndefined();
    expect(await renew(deviceId, serialNumber)).toEqual(renewed);
    // It does not say what it came with: what it may have missed is answered.
    expect(await renew(deviceId)).toEqual(renewed);
    expect(await goodOf(deviceId)).toEqual([serialNumber, renewed.serialNumber]);
    expect(stand.acceptances.items.at(-1)).toEqual({
      deviceId,
      renewedFrom: serialNumber,
      serialNumber: renewed.serialNumber,
    });
  });

  it('loses the one before when it has come with the next, and no sooner', async () => {
    const { deviceId, serialNumber } = await activeDevice();
    advance(DEVICE_VALIDITY_MS * 0.7);
    const { serialNumber: next, deviceCertificate } = await renew(deviceId, serialNumber);
    expect(await revocationsOf(deviceId)).toEqual([]);
    expect(await renew(deviceId, next)).toEqual({ serialNumber: next, deviceCertificate });
    expect(await revocationsOf(deviceId)).toEqual([[serialNumber, 'superseded']]);
    expect(await withdrawnOf(deviceId)).toEqual([serialNumber]);
    // Said again, as after a lost answer, it changes nothing.
    expect(await renew(deviceId, next)).toEqual({ serialNumber: next, deviceCertificate });
    expect(await goodOf(deviceId)).toEqual([next]);
  });

  it('may change its key at any time, and loses the requests that it has given up with the certificate before', async () => {
    const { deviceId, serialNumber } = await activeDevice();
    const [first, second] = [await generateKeys(), await generateKeys()];
    const givenUp = await renew(deviceId, serialNumber, createCertificateRequest({ deviceId, keys: first }));
    const csr = createCertificateRequest({ deviceId, keys: second });
    const taken = await renew(deviceId, serialNumber, csr);
    expect(publicKeyOf(taken.deviceCertificate)).toBe(writePublicKey(second.publicKey));
    expect(await renew(deviceId, serialNumber, csr)).toEqual(taken);
    await renew(deviceId, taken.serialNumber);
    expect(await goodOf(deviceId)).toEqual([taken.serialNumber]);
    expect((await revocationsOf(deviceId)).map(([serial]) => serial)).toEqual(
      expect.arrayContaining([serialNumber, givenUp.serialNumber]),
    );
  });

  it('is told of the end of a certificate, and never gets past it', async () => {
    const { deviceId, serialNumber } = await activeDevice();
    const { deviceId: other, serialNumber: others } = await activeDevice();
    await stand.call(certificateAuthority.revokeCertificates, { serialNumber });
    await expect(renew(deviceId, serialNumber)).rejects.toMatchObject(refusal('certificate_revoked'));
    await expect(renew(deviceId)).rejects.toMatchObject(refusal('certificate_revoked'));
    advance(DEVICE_VALIDITY_MS + 1_000);
    await expect(renew(other, others)).rejects.toMatchObject(refusal('certificate_expired'));
  });

  it('gets nothing for a certificate of another device, and revokes none of its', async () => {
    const one = await activeDevice();
    const other = await activeDevice();
    await expect(renew(one.deviceId, other.serialNumber)).rejects.toMatchObject(refusal('unknown_certificate'));
    await expect(renew('nobody')).rejects.toMatchObject(refusal('unknown_certificate'));
    advance(DEVICE_VALIDITY_MS * 0.7);
    const next = await renew(other.deviceId, other.serialNumber);
    await expect(renew(one.deviceId, next.serialNumber)).rejects.toMatchObject(refusal('unknown_certificate'));
    expect(await goodOf(other.deviceId)).toEqual([other.serialNumber, next.serialNumber]);
  });

  it('gets none for a request of another device or with another device’s key', async () => {
    const { deviceId, serialNumber } = await activeDevice();
    const other = await activeDevice();
    await expect(renew(deviceId, serialNumber, other.csr)).rejects.toMatchObject(refusal('csr_name_mismatch'));
    const stolen = createCertificateRequest({ deviceId, keys: other.keys });
    await expect(renew(deviceId, serialNumber, stolen)).rejects.toMatchObject(refusal('csr_key_mismatch'));
    await expect(renew(deviceId, serialNumber, 'x')).rejects.toMatchObject(refusal('csr_invalid'));
    expect(await goodOf(deviceId)).toEqual([serialNumber]);
  });

  it('gets five new ones a day and no more; tomorrow it does again', async () => {
    const { deviceId, serialNumber } = await activeDevice();
    const another = async () =>
      renew(deviceId, serialNumber, createCertificateRequest({ deviceId, keys: await generateKeys() }));
    for (let times = 0; times < 5; times++) await another();
    await expect(another()).rejects.toMatchObject(refusal('too_many_attempts'));
    advance(25 * 3_600_000);
    await another();
    expect(await goodOf(deviceId)).toHaveLength(7);
  });

  it('is never without a certificate, wherever the authority is killed in between', async () => {
    const { deviceId, serialNumber } = await activeDevice();
    advance(DEVICE_VALIDITY_MS * 0.7);
    await stand.stopTopicGenerator();
    await expect(renew(deviceId, serialNumber)).rejects.toMatchObject({
      code: expect.stringMatching(/^(timeout|unavailable)$/),
    });
    await stand.restart();
    await stand.startTopicGenerator();
    const next = await renew(deviceId, serialNumber);
    expect(await goodOf(deviceId)).toEqual([serialNumber, next.serialNumber]);
    expect(stand.acceptances.items.at(-1)).toMatchObject({ serialNumber: next.serialNumber });

    await stand.stopTopicGenerator();
    // The revocation is stored; that the brokers are told is owed and survives the restart.
    await renew(deviceId, next.serialNumber);
    await stand.restart();
    await stand.startTopicGenerator();
    expect(await withdrawnOf(deviceId)).toEqual([serialNumber]);
    expect(await goodOf(deviceId)).toEqual([next.serialNumber]);
  });

  it('leaves an entry in the audit log for the renewal and for the revocation', async () => {
    const { deviceId, serialNumber } = await activeDevice();
    advance(DEVICE_VALIDITY_MS * 0.7);
    const next = await renew(deviceId, serialNumber);
    await renew(deviceId, next.serialNumber);
    const rows = await stand.query(
      "SELECT action, details FROM audit_entry WHERE device_id = $1 AND action LIKE 'certificate.re%' ORDER BY seq",
      [deviceId],
    );
    expect(rows).toEqual([
      {
        action: 'certificate.renewed',
        details: expect.objectContaining({ serialNumber: next.serialNumber, renewedFrom: serialNumber }),
      },
      { action: 'certificate.revoked', details: { serialNumber, reason: 'superseded' } },
    ]);
  });
});
