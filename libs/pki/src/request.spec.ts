import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  createCertificateRequest,
  generateKeys,
  readCertificateRequest,
  splitPem,
  toPem,
  writePublicKey,
} from './index.js';

const refusal = (code: string) => expect.objectContaining({ code });

describe('a certificate signing request', () => {
  it.each(['P-256', 'P-384', 'Ed25519'] as const)('tells name and key of the type %s', async (algorithm) => {
    const keys = await generateKeys(algorithm);
    const read = await readCertificateRequest(createCertificateRequest({ deviceId: 'lamp_1', keys }));
    expect(read.commonName).toBe('lamp_1');
    expect(writePublicKey(read.publicKey)).toBe(writePublicKey(keys.publicKey));
  });

  it('is taken with an RSA key of 2048 bits', async () => {
    const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { commonName } = await readCertificateRequest(createCertificateRequest({ deviceId: 'lamp', keys }));
    expect(commonName).toBe('lamp');
  });

  it('is refused when its signature is not by its key', async () => {
    const [own, foreign] = await Promise.all([generateKeys(), generateKeys()]);
    const stolen = createCertificateRequest({
      deviceId: 'lamp',
      keys: { publicKey: foreign.publicKey, privateKey: own.privateKey },
    });
    await expect(readCertificateRequest(stolen)).rejects.toEqual(refusal('csr_invalid'));
  });

  it('is refused when a bit of the name was changed', async () => {
    const [block] = splitPem(createCertificateRequest({ deviceId: 'lamp', keys: await generateKeys() }));
    const der = Buffer.from(block?.der ?? []);
    der.write('ramp', der.indexOf('lamp'));
    await expect(readCertificateRequest(toPem('CERTIFICATE REQUEST', der))).rejects.toEqual(refusal('csr_invalid'));
  });

  it('is refused when its key is too weak or of another curve', async () => {
    for (const keys of [
      generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }),
      generateKeyPairSync('ec', { namedCurve: 'P-521' }),
    ]) {
      expect(() => createCertificateRequest({ deviceId: 'lamp', keys })).toThrow(refusal('key_not_accepted'));
    }
  });

  it.each([
    ['nothing', ''],
    ['rubbish', 'rubbish'],
    ['broken base64', '-----BEGIN CERTIFICATE REQUEST-----\nA\n-----END CERTIFICATE REQUEST-----\n'],
    ['an empty block', '-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n'],
    ['another block', toPem('CERTIFICATE', new Uint8Array(100))],
    ['deep nesting', toPem('CERTIFICATE REQUEST', new Uint8Array(4000).fill(0x30))],
    ['too much', toPem('CERTIFICATE REQUEST', new Uint8Array(20_000))],
  ])('is refused when it is %s', async (_what, pem) => {
    await expect(readCertificateRequest(pem)).rejects.toEqual(refusal('csr_invalid'));
  });
});
