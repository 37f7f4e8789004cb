import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Authority, generateKeys, type IssuedCertificate, type KeyObject } from '@mqtt2go/pki';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { subjectHash } from './subject-hash.js';
import { writeTrustAnchors } from './trust-anchors.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mqtt2go-trust-'));
});
afterEach(() => rm(folder, { recursive: true }));

const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });

async function authority(commonName: string): Promise<string> {
  const keys = await generateKeys();
  return Authority.createRoot({ commonName, keys, nowMs: Date.now(), validityMs: 86_400_000 }).certificate;
}

function selfSigned(subject: string, ...more: string[]): string {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
  return openssl('req', '-x509', ...key, '-days', '1', '-subj', subject, ...more);
}

describe('subjectHash', () => {
  it.each([
    ['/CN=Manufacturer'],
    ['/C=DE/O=ACME  Lamps   GmbH /OU=Test/CN= ACME Root\tCA 1 '],
    ['/O=Übergrößenträger & Söhne/CN=ÄÖÜ ẞ', '-utf8'],
    ['/O=Écoute/CN=latin', '-nameopt', 'oneline'],
    ['/DC=org/DC=Example/CN=x/emailAddress=CA@Example.ORG'],
    ['/C=DE+O=Both+CN=In one', '-multivalue-rdn'],
    [`/O=${'long '.repeat(12)}/CN=${'X'.repeat(64)}`],
    ['/CN=日本語', '-utf8'],
  ])('of %s is OpenSSL’s', async (subject, ...more) => {
    const pem = selfSigned(subject, ...more);
    const path = join(folder, 'ca.pem');
    await writeFile(path, pem);
    expect(subjectHash(pem)).toBe(openssl('x509', '-in', path, '-noout', '-subject_hash').trim());
  });
});

describe('writeTrustAnchors', () => {
  it('makes a folder in which OpenSSL finds each CA', async () => {
    const authorities = [await authority('one'), await authority('two'), await authority('one')];
    await writeTrustAnchors(join(folder, 'trust'), authorities);
    const names = await readdir(join(folder, 'trust'));
    expect(names.toSorted()).toEqual(
      [
        `${subjectHash(authorities[0] ?? '')}.0`,
        `${subjectHash(authorities[0] ?? '')}.1`,
        `${subjectHash(authorities[1] ?? '')}.0`,
      ].toSorted(),
    );
    for (const pem of authorities) {
      const path = join(folder, 'leaf.pem');
      await writeFile(path, pem);
      expect(openssl('verify', '-no-CAfile', '-CApath', join(folder, 'trust'), path)).toContain(': OK');
    }
  });

  it('has OpenSSL trust a CA below a root, what it may issue, and nothing else below that root', async () => {
    const nowMs = Date.now();
    const root = Authority.createRoot({
      commonName: 'root',
      keys: await generateKeys(),
      nowMs,
      validityMs: 86_400_000,
    });
    const gatewayOf = async (commonName: string): Promise<Authority> => {
      const { publicKey, privateKey } = await generateKeys();
      const request = { commonName, homeId: 'home-1', use: 'devices', publicKey, nowMs } as const;
      return new Authority(root.issueGatewayAuthority(request).pem, privateKey);
    };
    const [trusted, other] = [await gatewayOf('trusted'), await gatewayOf('other')];
    await writeTrustAnchors(join(folder, 'trust'), [trusted.certificate]);
    const verify = async (
      issue: (publicKey: KeyObject) => IssuedCertificate,
      authority: Authority,
    ): Promise<string> => {
      const leaf = join(folder, 'leaf.pem');
      const chain = join(folder, 'chain.pem');
      await writeFile(leaf, issue((await generateKeys()).publicKey).pem);
      await writeFile(chain, authority.certificate);
      const more = ['-no-CAfile', '-no-CAstore', '-CApath', join(folder, 'trust'), '-untrusted', chain];
      try {
        return openssl('verify', '-purpose', 'sslclient', ...more, leaf);
      } catch (error) {
        return String(error);
      }
    };
    const device = (authority: Authority) => (publicKey: KeyObject) =>
      authority.issueDevice({ deviceId: 'lamp', publicKey, nowMs });
    expect(await verify(device(trusted), trusted)).toContain(': OK');
    expect(await verify(device(other), other)).toContain('unable to get local issuer certificate');
    expect(await verify(device(root), root)).toContain('self-signed certificate in certificate chain');
    const preloaded = (publicKey: KeyObject) => trusted.issuePreloadedDevice({ deviceId: 'lamp', publicKey, nowMs });
    expect(await verify(preloaded, trusted)).toContain('permitted subtree violation');
  });

  it('takes away what is no more, and leaves alone what is not its own', async () => {
    const [one, two] = [await authority('one'), await authority('two')];
    await writeTrustAnchors(folder, [one, two]);
    await writeFile(join(folder, 'README'), 'x');
    await writeTrustAnchors(folder, [two]);
    expect((await readdir(folder)).toSorted()).toEqual(['README', `${subjectHash(two)}.0`].toSorted());
    expect(await readFile(join(folder, `${subjectHash(two)}.0`), 'utf8')).toBe(two);
    await writeTrustAnchors(folder, []);
    expect(await readdir(folder)).toEqual(['README']);
  });
});
