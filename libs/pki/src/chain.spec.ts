import { beforeAll, describe, expect, it } from 'vitest';
import { Authority, generateKeys, type KeyPair, ROOT_VALIDITY_MS, SERVER_VALIDITY_MS, verifyChain } from './index.js';

const nowMs = Date.UTC(2026, 5, 1);
let keys: KeyPair;
let root: Authority;
let issuing: Authority;
let server: string;

async function authorityUnder(above: Authority, pathLength: number): Promise<Authority> {
  const own = await generateKeys();
  const { pem } = above.issueAuthority({
    commonName: `CA ${pathLength} under ${above.chain.length}`,
    publicKey: own.publicKey,
    nowMs,
    validityMs: ROOT_VALIDITY_MS,
    pathLength,
  });
  return new Authority(pem, own.privateKey, above.chain);
}

beforeAll(async () => {
  keys = await generateKeys();
  const rootKeys = await generateKeys();
  root = Authority.createRoot({
    commonName: 'Root',
    keys: rootKeys,
    nowMs,
    validityMs: ROOT_VALIDITY_MS,
    pathLength: 1,
  });
  issuing = await authorityUnder(root, 0);
  server = issuing.issueServer({ commonName: 's', hosts: ['localhost'], publicKey: keys.publicKey, nowMs }).pem;
});

function verify(changes: Partial<Parameters<typeof verifyChain>[0]> = {}) {
  return verifyChain({
    certificate: server,
    chain: issuing.chain,
    trustAnchors: [root.certificate],
    nowMs,
    purpose: 'server',
    ...changes,
  });
}

describe('verifyChain', () => {
  it('finds the path to the trust anchor', async () => {
    const verdict = await verify();
    expect(verdict).toMatchObject({ valid: true });
    expect(verdict.valid && verdict.path.length).toBe(3);
  });

  it('does with an intermediate CA as the trust anchor', async () => {
    expect(await verify({ chain: [], trustAnchors: [issuing.certificate] })).toMatchObject({ valid: true });
  });

  it('refuses the wrong purpose', async () => {
    expect(await verify({ purpose: 'client' })).toEqual({ valid: false, reason: 'wrong_purpose' });
    expect(await verify({ purpose: 'any' })).toMatchObject({ valid: true });
  });

  it('refuses what is over or has not begun, and leaves dates aside without a clock', async () => {
    expect(await verify({ nowMs: nowMs + SERVER_VALIDITY_MS + 1000 })).toEqual({ valid: false, reason: 'expired' });
    expect(await verify({ nowMs: nowMs - 3_600_000 })).toEqual({ valid: false, reason: 'not_yet_valid' });
    expect(await verify({ nowMs: undefined })).toMatchObject({ valid: true });
  });

  it('refuses a missing link, a foreign root and rubbish', async () => {
    expect(await verify({ chain: [] })).toEqual({ valid: false, reason: 'no_trusted_issuer' });
    const impostor = Authority.createRoot({
      commonName: 'Root',
      keys,
      nowMs,
      validityMs: ROOT_VALIDITY_MS,
      pathLength: 1,
    });
    expect(await verify({ trustAnchors: [impostor.certificate] })).toEqual({
      valid: false,
      reason: 'no_trusted_issuer',
    });
    expect(await verify({ certificate: 'rubbish' })).toEqual({ valid: false, reason: 'unreadable' });
  });

  it('refuses a CA below one that may have none', async () => {
    const below = await authorityUnder(issuing, 0);
    const request = { commonName: 's', hosts: ['localhost'], publicKey: keys.publicKey, nowMs };
    expect(await verify({ certificate: below.issueServer(request).pem, chain: below.chain })).toEqual({
      valid: false,
      reason: 'no_trusted_issuer',
    });
  });

  it('refuses an end entity in the place of a CA', async () => {
    const device = issuing.issueDevice({ deviceId: 'lamp', publicKey: keys.publicKey, nowMs });
    const pretender = new Authority(device.pem, keys.privateKey, issuing.chain);
    const forged = pretender.issueServer({ commonName: 's', hosts: ['localhost'], publicKey: keys.publicKey, nowMs });
    expect(await verify({ certificate: forged.pem, chain: pretender.chain })).toEqual({
      valid: false,
      reason: 'no_trusted_issuer',
    });
  });
});
