import { certificateAuthority } from '@mqtt2go/messaging';
import {
  createCertificateRequest,
  DEVICE_VALIDITY_MS,
  generateKeys,
  readCertificate,
  splitDeviceBundle,
  writePublicKey,
} from '@mqtt2go/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuthorityStand, newDevice, refusal } from '../../test/authority-stand.js';

let stand: AuthorityStand;

beforeAll(async () => {
  stand = await AuthorityStand.start();
});
afterAll(() => stand.stop());

const renew = (serialNumber: string, csr?: string) =>
  stand.call(certificateAuthority.renewCertificate, { serialNumber, csr });

async function activeDevice() {
  const device = await newDevice();
  const { deviceId, publicKey } = device;
  const issued = await stand.issue({ deviceId, keyMode: 'existing-key', publicKey });
  return { ...device, ...issued };
}

describe('renewing a certificate', () => {
  it('gives one that lasts longer, for the same device and key, and no private key', async () => {
    const { serialNumber, deviceId, publicKey } = await activeDevice();
    stand.clock.advance(1000 * 60 * 60);
    const renewed = await renew(serialNumber);
    expect(renewed.serialNumber).not.toBe(serialNumber);
    const bundle = splitDeviceBundle(renewed.deviceCertificate);
    expect(bundle.privateKey).toBeUndefined();
    expect(bundle.chain).toHaveLength(1);
    const details = readCertificate(bundle.certificate);
    expect(details).toMatchObject({
      commonName: deviceId,
      serialNumber: renewed.serialNumber,
      notAfterMs: stand.clock.now() + DEVICE_VALIDITY_MS,
    });
    expect(writePublicKey(details.publicKey)).toBe(publicKey);
  });

  it('gives one for the key of a signing request', async () => {
    const { serialNumber, deviceId } = await activeDevice();
    const keys = await generateKeys();
    const renewed = await renew(serialNumber, createCertificateRequest({ deviceId, keys }));
    const { certificate } = splitDeviceBundle(renewed.deviceCertificate);
    expect(writePublicKey(readCertificate(certificate).publicKey)).toBe(writePublicKey(keys.publicKey));
  });

  it('gives the same when it is asked for again, at two replicas at once', async () => {
    const replica = await stand.startReplica();
    try {
      const { serialNumber } = await activeDevice();
      const asked = Array.from({ length: 8 }, (_, n) =>
        (n % 2 === 0 ? stand : replica).call(certificateAuthority.renewCertificate, { serialNumber }),
      );
      const answers = await Promise.all(asked);
      expect(new Set(answers.map((answer) => answer.deviceCertificate)).size).toBe(1);
      expect(await renew(serialNumber)).toEqual(answers[0]);
    } finally {
      await replica.stop();
    }
    expect(await stand.handle.metrics()).toMatch(/mqtt2go_certificates_renewed_total\{.*\} [1-9]/);
  });

  it('has the brokers accept it before it answers', async () => {
    const { serialNumber, deviceId } = await activeDevice();
    const renewed = await renew(serialNumber);
    const accepted = { deviceId, renewedFrom: serialNumber, serialNumber: renewed.serialNumber };
    expect(stand.acceptances.items.at(-1)).toEqual(accepted);
  });

  it('does not answer while the topic generator does not; repeated, it has the same certificate accepted', async () => {
    const { serialNumber, deviceId } = await activeDevice();
    await stand.stopTopicGenerator();
    await expect(renew(serialNumber)).rejects.toMatchObject({ code: expect.stringMatching(/^(timeout|unavailable)$/) });
    const [stored] = await stand.query('SELECT serial_number FROM device_certificate WHERE renewed_from = $1', [
      serialNumber,
    ]);
    await stand.startTopicGenerator();
    const renewed = await renew(serialNumber);
    expect(renewed.serialNumber).toBe(stored?.serial_number);
    const accepted = { deviceId, renewedFrom: serialNumber, serialNumber: renewed.serialNumber };
    expect(stand.acceptances.items.at(-1)).toEqual(accepted);
  });

  it('goes on from the renewed one', async () => {
    const { serialNumber } = await activeDevice();
    const first = await renew(serialNumber);
    const second = await renew(first.serialNumber);
    expect(new Set([serialNumber, first.serialNumber, second.serialNumber]).size).toBe(3);
  });

  it('is refused for a certificate that is unknown, revoked, or expired', async () => {
    const { serialNumber } = await activeDevice();
    const other = await activeDevice();
    await expect(renew('AA')).rejects.toMatchObject(refusal('unknown_certificate'));
    await stand.call(certificateAuthority.revokeCertificates, { serialNumber });
    await expect(renew(serialNumber)).rejects.toMatchObject(refusal('certificate_revoked'));
    stand.clock.advance(DEVICE_VALIDITY_MS + 1000);
    await expect(renew(other.serialNumber)).rejects.toMatchObject(refusal('certificate_expired'));
  });

  it('does not bring back a renewed one that has been revoked', async () => {
    const { serialNumber } = await activeDevice();
    const renewed = await renew(serialNumber);
    await stand.call(certificateAuthority.revokeCertificates, { serialNumber: renewed.serialNumber });
    await expect(renew(serialNumber)).rejects.toMatchObject(refusal('certificate_revoked'));
  });

  it("is refused for a signing request of another device, or with another device's key", async () => {
    const { serialNumber, deviceId } = await activeDevice();
    const other = await activeDevice();
    await expect(renew(serialNumber, other.csr)).rejects.toMatchObject(refusal('csr_name_mismatch'));
    const stolen = createCertificateRequest({ deviceId, keys: other.keys });
    await expect(renew(serialNumber, stolen)).rejects.toMatchObject(refusal('csr_key_mismatch'));
    await expect(renew(serialNumber, 'x')).rejects.toMatchObject(refusal('csr_invalid'));
  });
});
