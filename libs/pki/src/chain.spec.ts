import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  Authority,
  type ChainFault,
  type ChainRequest,
  generateKeys,
  type KeyPair,
  ROOT_VALIDITY_MS,
  SERVER_VALIDITY_MS,
  toPem,
  verifyChain,
} from './index.js';

const nowMs = Date.UTC(2026, 5, 1);
let keys: KeyPair;
let root: Authority;
let issuing: Authority;
let server: string;
let device: string;

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

function rootOf(own: KeyPair): Authority {
  return Authority.createRoot({ commonName: 'Root', keys: own, nowMs, validityMs: ROOT_VALIDITY_MS, pathLength: 1 });
}

function serverOf(authority: Authority): string {
  return authority.issueServer({ commonName: 's', hosts: ['localhost'], publicKey: keys.publicKey, nowMs }).pem;
}

function deviceOf(authority: Authority): string {
  return authority.issueDevice({ deviceId: 'lamp', publicKey: keys.publicKey, nowMs }).pem;
}

/** With another OID of the same length in the place of one of its extensions', and so without a good signature. */
function altered(certificate: string, from: string, to: string): string {
  const der = new X509Certificate(certificate).raw.toString('hex');
  return toPem('CERTIFICATE', Buffer.from(der.replace(from, to), 'hex'));
}

beforeAll(async () => {
  keys = await generateKeys();
  root = rootOf(await generateKeys());
  issuing = await authorityUnder(root, 0);
  server = serverOf(issuing);
  device = deviceOf(issuing);
});

function verify(changes: Partial<ChainRequest> = {}) {
  return verifyChain({
    certificate: server,
    chain: issuing.chain,
    trustAnchors: [root.certificate],
    nowMs,
    ...changes,
  });
}

function refusal(reason: ChainFault) {
  return { valid: false, reason };
}

describe('verifyChain', () => {
  it('finds the path to the trust anchor, whatever else is with it', async () => {
    const path = [server, issuing.certificate, root.certificate];
    expect(verify()).toEqual({ valid: true, path });
    const other = await authorityUnder(root, 0);
    expect(verify({ chain: [...other.chain, ...issuing.chain] })).toEqual({ valid: true, path });
  });

  it('does with an intermediate CA, or the certificate itself, as the trust anchor', () => {
    expect(verify({ chain: [], trustAnchors: [issuing.certificate] })).toMatchObject({ valid: true });
    expect(verify({ chain: [], trustAnchors: [server] })).toMatchObject({ valid: true });
  });

  it('refuses the wrong purpose', () => {
    expect(verify({ purpose: 'server' })).toMatchObject({ valid: true });
    expect(verify({ purpose: 'client' })).toEqual(refusal('wrong_purpose'));
    expect(verify({ purpose: 'any' })).toMatchObject({ valid: true });
    expect(verify({ certificate: device, purpose: 'client' })).toMatchObject({ valid: true });
    expect(verify({ certificate: device, purpose: 'server' })).toEqual(refusal('wrong_purpose'));
  });

  it('refuses what is over or has not begun, and leaves dates aside without a clock', () => {
    expect(verify({ nowMs: nowMs + SERVER_VALIDITY_MS + 1000 })).toEqual(refusal('expired'));
    expect(verify({ nowMs: nowMs - 3_600_000 })).toEqual(refusal('not_yet_valid'));
    expect(verify({ nowMs: undefined })).toMatchObject({ valid: true });
  });

  it('refuses a missing link, a foreign root of the same name and rubbish', () => {
    expect(verify({ chain: [] })).toEqual(refusal('no_trusted_issuer'));
    expect(verify({ trustAnchors: [] })).toEqual(refusal('no_trusted_issuer'));
    expect(verify({ trustAnchors: [rootOf(keys).certificate] })).toEqual(refusal('no_trusted_issuer'));
    expect(verify({ certificate: 'rubbish' })).toEqual(refusal('unreadable'));
  });

  it('refuses a signature that does not hold', () => {
    const der = new X509Certificate(server).raw;
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    expect(verify({ certificate: toPem('CERTIFICATE', der) })).toEqual(refusal('no_trusted_issuer'));
  });

  it('refuses a CA below one that may have none', async () => {
    const below = await authorityUnder(issuing, 0);
    expect(verify({ certificate: serverOf(below), chain: below.chain })).toEqual(refusal('no_trusted_issuer'));
  });

  it('refuses an end entity in the place of a CA', () => {
    const pretender = new Authority(device, keys.privateKey, issuing.chain);
    expect(verify({ certificate: serverOf(pretender), chain: pretender.chain })).toEqual(refusal('no_trusted_issuer'));
  });

  it('refuses critical extensions that it does not understand', () => {
    const constrained = altered(device, '0603551d13', '0603551d1e');
    expect(verify({ certificate: constrained, trustAnchors: [constrained] })).toEqual(
      refusal('unknown_critical_extension'),
    );
  });
});
