import { X509Certificate } from 'node:crypto';
import { Authority, generateKeys, type KeyPair, ROOT_VALIDITY_MS, toPem } from '@mqtt2go/pki';
import { beforeAll, describe, expect, it } from 'vitest';
import { type TrustRequest, trustFault } from './trusted-path.js';

const nowMs = Date.UTC(2026, 5, 1);
let keys: KeyPair;
let root: Authority;
let issuing: Authority;
let device: string;

async function authorityUnder(above: Authority, pathLength: number): Promise<Authority> {
  const own = await generateKeys();
  const commonName = `CA ${pathLength} under ${above.chain.length}`;
  const { pem } = above.issueAuthority({
    commonName,
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

function deviceOf(authority: Authority): string {
  return authority.issueDevice({ deviceId: 'lamp', publicKey: keys.publicKey, nowMs }).pem;
}

function fault(changes: Partial<TrustRequest> = {}) {
  return trustFault({ certificate: device, chain: issuing.chain, trustAnchors: [root.certificate], ...changes });
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
  device = deviceOf(issuing);
});

describe('trustFault', () => {
  it('finds the path to the trust anchor, whatever else is with it', async () => {
    expect(fault()).toBeUndefined();
    const other = await authorityUnder(root, 0);
    expect(fault({ chain: [...other.chain, ...issuing.chain] })).toBeUndefined();
  });

  it('does with an intermediate CA, or the certificate itself, as the trust anchor', () => {
    expect(fault({ chain: [], trustAnchors: [issuing.certificate] })).toBeUndefined();
    expect(fault({ chain: [], trustAnchors: [device] })).toBeUndefined();
  });

  it('refuses the wrong purpose', () => {
    const server = issuing.issueServer({ commonName: 's', hosts: ['localhost'], publicKey: keys.publicKey, nowMs });
    expect(fault({ certificate: server.pem })).toBe('wrong_purpose');
  });

  it('refuses a missing link, a foreign root of the same name and rubbish', () => {
    expect(fault({ chain: [] })).toBe('no_trusted_issuer');
    expect(fault({ trustAnchors: [] })).toBe('no_trusted_issuer');
    expect(fault({ trustAnchors: [rootOf(keys).certificate] })).toBe('no_trusted_issuer');
    expect(fault({ certificate: 'rubbish' })).toBe('unreadable');
  });

  it('refuses a signature that does not hold', () => {
    const der = new X509Certificate(device).raw;
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    expect(fault({ certificate: toPem('CERTIFICATE', der) })).toBe('no_trusted_issuer');
  });

  it('refuses a CA below one that may have none', async () => {
    const below = await authorityUnder(issuing, 0);
    expect(fault({ certificate: deviceOf(below), chain: below.chain })).toBe('no_trusted_issuer');
  });

  it('refuses an end entity in the place of a CA', () => {
    const pretender = new Authority(device, keys.privateKey, issuing.chain);
    expect(fault({ certificate: deviceOf(pretender), chain: pretender.chain })).toBe('no_trusted_issuer');
  });

  it('refuses critical extensions that it does not understand', () => {
    const constrained = altered(device, '0603551d13', '0603551d1e');
    expect(fault({ certificate: constrained, trustAnchors: [constrained] })).toBe('unknown_critical_extension');
  });
});
