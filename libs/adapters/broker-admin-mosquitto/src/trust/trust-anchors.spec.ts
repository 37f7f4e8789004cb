import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Authority, generateKeys } from '@mqtt2go/pki';
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
