import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  generateKeys,
  publicKeyDer,
  publicKeyHash,
  readPrivateKey,
  readPublicKey,
  toPem,
  writePrivateKey,
  writePublicKey,
} from './index.js';

const refusal = expect.objectContaining({ code: 'key_not_accepted' });

describe('keys', () => {
  it('come back from PEM as they went in', async () => {
    const keys = await generateKeys();
    const pem = writePrivateKey(keys.privateKey);
    expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(writePublicKey(readPrivateKey(pem))).toBe(writePublicKey(keys.publicKey));
    expect(publicKeyHash(readPrivateKey(pem))).toEqual(publicKeyHash(readPublicKey(writePublicKey(keys.publicKey))));
    expect(publicKeyHash(keys.publicKey)).toHaveLength(32);
  });

  it('are one key in whatever form their point is written', async () => {
    const { publicKey } = await generateKeys();
    const plain = Buffer.from(publicKeyDer(publicKey));
    const odd = (plain.at(-1) ?? 0) & 1;
    const hybrid = Buffer.from(plain);
    hybrid[26] = 6 + odd;
    const compressed = Buffer.concat([plain.subarray(0, 59)]);
    compressed[1] = 57;
    compressed[24] = 34;
    compressed[26] = 2 + odd;
    for (const form of [hybrid, compressed]) {
      expect(publicKeyHash(readPublicKey(toPem('PUBLIC KEY', form)))).toEqual(publicKeyHash(publicKey));
    }
  });

  it.each([
    ['RSA of 1024 bits', generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey],
    ['P-521', generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey],
    ['secp256k1', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey],
    ['X25519', generateKeyPairSync('x25519').publicKey],
  ])('of %s are refused', (_what, key) => {
    const pem = key.export({ type: 'spki', format: 'pem' }).toString();
    expect(() => readPublicKey(pem)).toThrow(refusal);
  });

  it('that cannot be read are refused', () => {
    for (const text of ['', 'x', toPem('PUBLIC KEY', new Uint8Array(91)), toPem('CERTIFICATE', new Uint8Array(9))]) {
      expect(() => readPublicKey(text)).toThrow(refusal);
      expect(() => readPrivateKey(text)).toThrow(refusal);
    }
  });
});
