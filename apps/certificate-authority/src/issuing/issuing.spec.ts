import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { certificateAuthority } from '@mqtt2go/messaging';
import {
  createCertificateRequest,
  generateKeys,
  isKeyOf,
  privateKeyDer,
  readCertificate,
  readPrivateKey,
  splitDeviceBundle,
  verifyChain,
  writePublicKey,
} from '@mqtt2go/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuthorityStand, newDevice, newDeviceId, refusal } from '../../test/authority-stand.js';

let stand: AuthorityStand;
let root: string;

beforeAll(async () => {
  stand = await AuthorityStand.start();
  ({ root } = await stand.call(certificateAuthority.getAuthority, {}));
});
afterAll(() => stand.stop());

function expectDeviceCertificate(bundle: string, deviceId: string, serialNumber: string) {
  const { certificate, chain, privateKey } = splitDeviceBundle(bundle);
  expect(readCertificate(certificate)).toMatchObject({ commonName: deviceId, serialNumber, isAuthority: false });
  const nowMs = stand.clock.now();
  expect(verifyChain({ certificate, chain, trustAnchors: [root], nowMs, purpose: 'client' })).toMatchObject({
    valid: true,
  });
  expect(verifyChain({ certificate, chain, trustAnchors: [root], nowMs, purpose: 'server' })).toMatchObject({
    valid: false,
  });
  return { certificate, chain, privateKey };
}

describe('a device certificate', () => {
  it('is issued to the key of the pre-loaded certificate, without a key in the answer', async () => {
    const { deviceId, publicKey } = await newDevice();
    const answer = await stand.issue({ deviceId, keyMode: 'existing-key', publicKey });
    const { certificate, privateKey } = expectDeviceCertificate(
      answer.deviceCertificate,
      deviceId,
      answer.serialNumber,
    );
    expect(privateKey).toBeUndefined();
    expect(writePublicKey(readCertificate(certificate).publicKey)).toBe(publicKey);
  });

  it('is issued to the key of a signing request, without a key in the answer', async () => {
    const { deviceId, publicKey, csr } = await newDevice();
    const answer = await stand.issue({ deviceId, keyMode: 'csr', csr });
    const { certificate, privateKey } = expectDeviceCertificate(
      answer.deviceCertificate,
      deviceId,
      answer.serialNumber,
    );
    expect(privateKey).toBeUndefined();
    expect(writePublicKey(readCertificate(certificate).publicKey)).toBe(publicKey);
  });

  it('comes with a key of the platform where the device has none', async () => {
    const deviceId = newDeviceId();
    const answer = await stand.issue({ deviceId });
    const { certificate, privateKey } = expectDeviceCertificate(
      answer.deviceCertificate,
      deviceId,
      answer.serialNumber,
    );
    expect(isKeyOf(readPrivateKey(privateKey ?? ''), certificate)).toBe(true);
  });

  it('is the same when it is asked for again, in all three ways, and after a restart', async () => {
    const { deviceId, publicKey, csr } = await newDevice();
    const requests = [
      { onboardingId: randomUUID(), deviceId, keyMode: 'existing-key', publicKey },
      { onboardingId: randomUUID(), deviceId, keyMode: 'csr', csr },
      { onboardingId: randomUUID(), deviceId, keyMode: 'server-key' },
    ] as const;
    const answers = await Promise.all(requests.map((request) => stand.issue(request)));
    expect(new Set(answers.map(({ serialNumber }) => serialNumber)).size).toBe(3);
    expect(await Promise.all(requests.map((request) => stand.issue(request)))).toEqual(answers);
    await stand.restart();
    expect(await Promise.all(requests.map((request) => stand.issue(request)))).toEqual(answers);
  });

  it('is the same for all who ask at once, at two replicas', async () => {
    const replica = await stand.startReplica();
    try {
      const { deviceId, publicKey } = await newDevice();
      for (const keys of [{ keyMode: 'existing-key' as const, publicKey }, { keyMode: 'server-key' as const }]) {
        const request = { onboardingId: randomUUID(), deviceId, ...keys };
        const asked = Array.from({ length: 12 }, (_, n) => (n % 2 === 0 ? stand : replica).issue(request));
        expect(new Set((await Promise.all(asked)).map(({ deviceCertificate }) => deviceCertificate)).size).toBe(1);
      }
    } finally {
      await replica.stop();
    }
  });

  it('may be another one for the same key in a later onboarding', async () => {
    const { deviceId, publicKey } = await newDevice();
    const first = await stand.issue({ deviceId, keyMode: 'existing-key', publicKey });
    const second = await stand.issue({ deviceId, keyMode: 'existing-key', publicKey });
    expect(second.serialNumber).not.toBe(first.serialNumber);
  });

  it('is counted and timed', async () => {
    await stand.issue();
    const metrics = await stand.handle.metrics();
    expect(metrics).toMatch(/mqtt2go_certificates_issued_total\{key_mode="server-key",service="[a-z-]+"\} [1-9]/);
    expect(metrics).toMatch(/mqtt2go_certificate_issue_duration_seconds_count\{.*key_mode="server-key".*\} [1-9]/);
  });
});

describe('a request for a device certificate is refused', () => {
  it('when the signing request names another device', async () => {
    const { csr } = await newDevice();
    await expect(stand.issue({ keyMode: 'csr', csr })).rejects.toMatchObject(refusal('csr_name_mismatch'));
  });

  it('when the signing request is missing, broken, or signed by another key', async () => {
    const { deviceId, keys, csr } = await newDevice();
    const { privateKey } = await generateKeys();
    const stolen = createCertificateRequest({ deviceId, keys: { privateKey, publicKey: keys.publicKey } });
    const ask = (request: string | undefined) => stand.issue({ deviceId, keyMode: 'csr', csr: request });
    await expect(ask(undefined)).rejects.toMatchObject(refusal('csr_required'));
    await expect(ask(csr.replace('M', 'N'))).rejects.toMatchObject(refusal('csr_invalid'));
    await expect(ask(stolen)).rejects.toMatchObject(refusal('csr_invalid'));
  });

  it('when the key is too weak or missing', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
    const publicKey = weak.export({ type: 'spki', format: 'pem' }).toString();
    for (const given of [publicKey, undefined, 'x']) {
      await expect(stand.issue({ keyMode: 'existing-key', publicKey: given })).rejects.toMatchObject(
        refusal('key_not_accepted'),
      );
    }
  });

  it('when the key is that of another device, however it comes, and leaves nothing behind', async () => {
    const { deviceId, keys, publicKey } = await newDevice();
    await stand.issue({ deviceId, keyMode: 'existing-key', publicKey });
    const thief = newDeviceId();
    const onboardingId = randomUUID();
    const csr = createCertificateRequest({ deviceId: thief, keys });
    for (const way of [{ keyMode: 'csr', csr } as const, { keyMode: 'existing-key', publicKey } as const]) {
      await expect(stand.issue({ onboardingId, deviceId: thief, ...way })).rejects.toMatchObject(
        refusal('csr_key_mismatch'),
      );
    }
    expect(await stand.query('SELECT FROM onboarding_certificate WHERE device_id = $1', [thief])).toEqual([]);
    const own = await newDevice();
    const good = createCertificateRequest({ deviceId: thief, keys: own.keys });
    await expect(stand.issue({ onboardingId, deviceId: thief, keyMode: 'csr', csr: good })).resolves.toBeDefined();
  });

  it('and keeps nobody else from a certificate who asks at the same time', async () => {
    const [owner, ...others] = await Promise.all(Array.from({ length: 8 }, newDevice));
    if (owner === undefined) throw new Error('no device');
    await stand.issue({ deviceId: owner.deviceId, keyMode: 'existing-key', publicKey: owner.publicKey });
    const thief = { deviceId: newDeviceId(), publicKey: owner.publicKey };
    const [theft, ...answers] = await Promise.allSettled(
      [thief, ...others].map(({ deviceId, publicKey }) =>
        stand.issue({ deviceId, keyMode: 'existing-key', publicKey }),
      ),
    );
    expect(theft).toMatchObject({ status: 'rejected', reason: refusal('csr_key_mismatch') });
    expect(answers.map(({ status }) => status)).toEqual(others.map(() => 'fulfilled'));
  });

  it('when the onboarding has a certificate for another key, which stays the other', async () => {
    const first = await newDevice();
    const second = await generateKeys();
    const { deviceId } = first;
    const onboardingId = randomUUID();
    const answer = await stand.issue({ onboardingId, deviceId, keyMode: 'csr', csr: first.csr });
    const csr = createCertificateRequest({ deviceId, keys: second });
    await expect(stand.issue({ onboardingId, deviceId, keyMode: 'csr', csr })).rejects.toMatchObject(
      refusal('csr_key_mismatch'),
    );
    expect(await stand.issue({ onboardingId, deviceId, keyMode: 'csr', csr: first.csr })).toEqual(answer);
    // The refused key has not become the device's.
    const other = newDeviceId();
    const request = createCertificateRequest({ deviceId: other, keys: second });
    await expect(stand.issue({ deviceId: other, keyMode: 'csr', csr: request })).resolves.toBeDefined();
  });

  it('when the onboarding is of another device or key mode', async () => {
    const onboardingId = randomUUID();
    const { deviceId, publicKey } = await newDevice();
    await stand.issue({ onboardingId, deviceId });
    await expect(stand.issue({ onboardingId })).rejects.toMatchObject(refusal('conflict'));
    await expect(stand.issue({ onboardingId, deviceId, keyMode: 'existing-key', publicKey })).rejects.toMatchObject(
      refusal('conflict'),
    );
  });
});

describe('a key that the platform made', () => {
  async function storedKey(onboardingId: string): Promise<unknown> {
    const [row] = await stand.query('SELECT sealed_key FROM onboarding_certificate WHERE onboarding_id = $1', [
      onboardingId,
    ]);
    return row?.sealed_key;
  }

  it('is never in the database in clear', async () => {
    const onboardingId = randomUUID();
    const { deviceCertificate } = await stand.issue({ onboardingId });
    const key = privateKeyDer(readPrivateKey(splitDeviceBundle(deviceCertificate).privateKey ?? ''));
    const sealed = await storedKey(onboardingId);
    expect(sealed).toBeInstanceOf(Buffer);
    // The 32 bytes of the secret number itself.
    expect(Buffer.isBuffer(sealed) && sealed.includes(Buffer.from(key.subarray(36, 68)))).toBe(false);
  });

  it.each(['completed', 'abandoned'] as const)('is destroyed when the onboarding is %s', async (outcome) => {
    const [onboardingId, deviceId] = [randomUUID(), newDeviceId()];
    await stand.issue({ onboardingId, deviceId });
    await stand.settle(onboardingId, outcome);
    await stand.settle(onboardingId, outcome);
    expect(await storedKey(onboardingId)).toBeNull();
    await expect(stand.issue({ onboardingId, deviceId })).rejects.toMatchObject(
      refusal(outcome === 'completed' ? 'conflict' : 'certificate_revoked'),
    );
  });
});

describe('settling an onboarding', () => {
  async function revokedAt(serialNumber: string): Promise<unknown> {
    const [row] = await stand.query('SELECT revoked_at FROM device_certificate WHERE serial_number = $1', [
      serialNumber,
    ]);
    return row?.revoked_at;
  }

  it('as completed leaves the certificate good, also when it is abandoned afterwards', async () => {
    const onboardingId = randomUUID();
    const { serialNumber } = await stand.issue({ onboardingId });
    await stand.settle(onboardingId, 'completed');
    await stand.settle(onboardingId, 'abandoned');
    expect(await revokedAt(serialNumber)).toBeNull();
  });

  it('as abandoned revokes its certificate, and no other of the device', async () => {
    const { deviceId, publicKey } = await newDevice();
    const onboardingId = randomUUID();
    const earlier = await stand.issue({ deviceId, keyMode: 'existing-key', publicKey });
    const { serialNumber } = await stand.issue({ onboardingId, deviceId, keyMode: 'existing-key', publicKey });
    await stand.settle(onboardingId, 'abandoned');
    expect(await revokedAt(serialNumber)).toEqual(new Date(stand.clock.now()));
    expect(await revokedAt(earlier.serialNumber)).toBeNull();
  });

  it('that had nothing is fine, and a request that comes after it gets nothing', async () => {
    const onboardingId = randomUUID();
    await stand.settle(onboardingId, 'abandoned');
    await stand.settle(randomUUID(), 'completed');
    await expect(stand.issue({ onboardingId })).rejects.toMatchObject(refusal('conflict'));
  });

  it('at the same time as its certificate is issued leaves no certificate that is good', async () => {
    const replica = await stand.startReplica();
    try {
      for (let round = 0; round < 10; round++) {
        const onboardingId = randomUUID();
        const [issued] = await Promise.allSettled([
          stand.issue({ onboardingId }),
          replica.settle(onboardingId, 'abandoned'),
        ]);
        if (issued.status === 'fulfilled') expect(await revokedAt(issued.value.serialNumber)).not.toBeNull();
        else expect(issued.reason).toMatchObject({ code: expect.stringMatching(/^(conflict|certificate_revoked)$/) });
      }
    } finally {
      await replica.stop();
    }
  });
});
