import 'reflect-metadata';
import { execFileSync } from 'node:child_process';
import { X509Certificate as NodeCertificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509Crl,
  X509CrlReason,
} from '@peculiar/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  Authority,
  BACKDATED_MS,
  createSerialNumber,
  DEVICE_VALIDITY_MS,
  generateKeys,
  type KeyPair,
  NEVER_MS,
  REVOCATION_LIST_VALIDITY_MS,
  ROOT_VALIDITY_MS,
  readCertificate,
  readPublicKey,
  SERVER_VALIDITY_MS,
  writePublicKey,
} from './index.js';

const nowMs = Date.UTC(2026, 5, 1, 12, 0, 0, 750);
const clientAuth = '1.3.6.1.5.5.7.3.2';
const serverAuth = '1.3.6.1.5.5.7.3.1';

let root: Authority;
let issuing: Authority;
let deviceKeys: KeyPair;

beforeAll(async () => {
  const [rootKeys, issuingKeys, device] = await Promise.all([generateKeys(), generateKeys(), generateKeys()]);
  deviceKeys = device;
  root = Authority.createRoot({
    commonName: 'Test root',
    keys: rootKeys,
    nowMs,
    validityMs: ROOT_VALIDITY_MS,
    pathLength: 1,
  });
  const { pem } = root.issueAuthority({
    commonName: 'Test issuing CA',
    publicKey: issuingKeys.publicKey,
    nowMs,
    validityMs: ROOT_VALIDITY_MS / 2,
    pathLength: 0,
  });
  issuing = new Authority(pem, issuingKeys.privateKey, root.chain);
});

function usesOf(certificate: X509Certificate): KeyUsageFlags | undefined {
  return certificate.getExtension(KeyUsagesExtension)?.usages;
}

describe('a CA certificate', () => {
  it('says how many CAs may stand below it, critically, and what its key is for', () => {
    for (const [pem, pathLength] of [
      [root.certificate, 1],
      [issuing.certificate, 0],
    ] as const) {
      const certificate = new X509Certificate(pem);
      const constraints = certificate.getExtension(BasicConstraintsExtension);
      expect(constraints).toMatchObject({ ca: true, pathLength, critical: true });
      expect(usesOf(certificate)).toBe(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign);
      expect(certificate.getExtension(KeyUsagesExtension)?.critical).toBe(true);
      expect(certificate.getExtension(ExtendedKeyUsageExtension)).toBeNull();
    }
  });

  it('is left out of the chain when it is the root', () => {
    expect(root.chain).toEqual([]);
    expect(issuing.chain).toEqual([issuing.certificate]);
    expect(issuing.withChain('x\n')).toBe(`x\n${issuing.certificate}`);
  });

  it('is not taken with a key of another CA', () => {
    expect(() => new Authority(root.certificate, deviceKeys.privateKey)).toThrow(
      expect.objectContaining({ code: 'configuration_invalid' }),
    );
  });
});

describe('a device certificate', () => {
  it('has the fields of an 802.1AR LDevID and of RFC 5280', () => {
    const issued = issuing.issueDevice({ deviceId: 'lamp.1-A', publicKey: deviceKeys.publicKey, nowMs });
    const certificate = new X509Certificate(issued.pem);
    expect(certificate.subjectName.getField('CN')).toEqual(['lamp.1-A']);
    expect(certificate.subjectName.getField('2.5.4.5')).toEqual(['lamp.1-A']);
    expect(certificate.issuer).toBe(new X509Certificate(issuing.certificate).subject);
    expect(certificate.serialNumber.toUpperCase()).toBe(issued.serialNumber);
    expect(certificate.getExtension(BasicConstraintsExtension)).toMatchObject({ ca: false, critical: true });
    expect(certificate.getExtension(BasicConstraintsExtension)?.pathLength).toBeUndefined();
    expect(usesOf(certificate)).toBe(KeyUsageFlags.digitalSignature);
    expect(certificate.getExtension(ExtendedKeyUsageExtension)?.usages).toEqual([clientAuth]);
    expect(certificate.getExtension(SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
      { type: 'url', value: 'urn:mqtt2go:device:lamp.1-A' },
      { type: 'url', value: `urn:mqtt2go:device:lamp.1-A:${issued.serialNumber}` },
    ]);
    const issuerKey = new X509Certificate(issuing.certificate).getExtension(SubjectKeyIdentifierExtension)?.keyId;
    expect(issuerKey).toMatch(/^[0-9a-f]{40}$/);
    expect(certificate.getExtension(AuthorityKeyIdentifierExtension)?.keyId).toBe(issuerKey);
    expect(certificate.getExtension(SubjectKeyIdentifierExtension)?.keyId).toMatch(/^[0-9a-f]{40}$/);
    expect(writePublicKey(readCertificate(issued.pem).publicKey)).toBe(writePublicKey(deviceKeys.publicKey));
  });

  it('begins five minutes early and lasts two years, in whole seconds', () => {
    const issued = issuing.issueDevice({ deviceId: 'lamp', publicKey: deviceKeys.publicKey, nowMs });
    const { notBeforeMs, notAfterMs } = readCertificate(issued.pem);
    expect(notBeforeMs).toBe(nowMs - 750 - BACKDATED_MS);
    expect(notAfterMs).toBe(nowMs - 750 + DEVICE_VALIDITY_MS);
    expect([issued.notBeforeMs, issued.notAfterMs]).toEqual([notBeforeMs, notAfterMs]);
  });

  it('leaves the serial number attribute out where its alphabet has no room for the id', () => {
    const { pem } = issuing.issueDevice({ deviceId: 'lamp_1', publicKey: deviceKeys.publicKey, nowMs });
    expect(new X509Certificate(pem).subjectName.getField('2.5.4.5')).toEqual([]);
    expect(readCertificate(pem).commonName).toBe('lamp_1');
  });

  it('does not outlive its issuer', () => {
    const { pem } = issuing.issueDevice({
      deviceId: 'lamp',
      publicKey: deviceKeys.publicKey,
      nowMs,
      validityMs: ROOT_VALIDITY_MS,
    });
    expect(readCertificate(pem).notAfterMs).toBe(readCertificate(issuing.certificate).notAfterMs);
  });

  it.each(['P-256', 'P-384', 'Ed25519'] as const)('is issued to a key of the type %s', async (algorithm) => {
    const { publicKey } = await generateKeys(algorithm);
    const { pem } = issuing.issueDevice({ deviceId: 'lamp', publicKey, nowMs });
    expect(new NodeCertificate(pem).verify(new NodeCertificate(issuing.certificate).publicKey)).toBe(true);
    expect(writePublicKey(readPublicKey(writePublicKey(publicKey)))).toBe(writePublicKey(publicKey));
  });

  it.each(['P-384', 'Ed25519'] as const)('can come from a CA with a key of the type %s', async (algorithm) => {
    const keys = await generateKeys(algorithm);
    const authority = Authority.createRoot({ commonName: 'Other', keys, nowMs, validityMs: ROOT_VALIDITY_MS });
    const { pem } = authority.issueDevice({ deviceId: 'lamp', publicKey: deviceKeys.publicKey, nowMs });
    expect(new NodeCertificate(pem).verify(keys.publicKey)).toBe(true);
    expect(new X509Certificate(authority.certificate).getExtension(BasicConstraintsExtension)?.pathLength).toBe(
      undefined,
    );
  });
});

describe('a pre-loaded device certificate', () => {
  it('never expires and tells the device type', () => {
    const { pem } = root.issuePreloadedDevice({
      deviceId: 'lamp-1',
      deviceType: 'socket',
      publicKey: deviceKeys.publicKey,
      nowMs,
    });
    expect(readCertificate(pem)).toMatchObject({
      commonName: 'lamp-1',
      organizationalUnit: 'socket',
      notAfterMs: NEVER_MS,
      isAuthority: false,
    });
    expect(new NodeCertificate(pem).validTo).toBe('Dec 31 23:59:59 9999 GMT');
  });

  it('comes from a CA that does not expire either', async () => {
    const keys = await generateKeys();
    const maker = Authority.createRoot({
      commonName: 'Maker',
      keys,
      nowMs,
      validityMs: Number.POSITIVE_INFINITY,
      pathLength: 0,
    });
    expect(readCertificate(maker.certificate)).toMatchObject({ notAfterMs: NEVER_MS, isAuthority: true });
  });
});

describe('a server certificate', () => {
  it('names its hosts by name and address and is for servers only', () => {
    const hosts = ['localhost', 'mqtt.example.org', '127.0.0.1', '::1', '2001:db8::17', '::ffff:10.0.0.1'];
    const { pem } = issuing.issueServer({ commonName: 'home-broker', hosts, publicKey: deviceKeys.publicKey, nowMs });
    const certificate = new NodeCertificate(pem);
    for (const host of hosts.slice(0, 2)) expect(certificate.checkHost(host)).toBe(host);
    for (const address of hosts.slice(2)) expect(certificate.checkIP(address)).toBe(address);
    expect(certificate.checkIP('10.0.0.1')).toBeUndefined();
    expect(readCertificate(pem)).toMatchObject({
      dnsNames: ['localhost', 'mqtt.example.org'],
      notAfterMs: nowMs - 750 + SERVER_VALIDITY_MS,
    });
    expect(new X509Certificate(pem).getExtension(ExtendedKeyUsageExtension)?.usages).toEqual([serverAuth]);
  });
});

describe('a service certificate', () => {
  it('is for both ends and names the service', () => {
    const { pem, serialNumber } = issuing.issueService({
      service: 'provisioning',
      hosts: ['localhost'],
      publicKey: deviceKeys.publicKey,
      nowMs,
    });
    const certificate = new X509Certificate(pem);
    expect(readCertificate(pem).commonName).toBe('provisioning');
    expect(certificate.getExtension(ExtendedKeyUsageExtension)?.usages).toEqual([serverAuth, clientAuth]);
    expect(certificate.getExtension(SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
      { type: 'dns', value: 'localhost' },
      { type: 'url', value: 'urn:mqtt2go:service:provisioning' },
      { type: 'url', value: `urn:mqtt2go:service:provisioning:${serialNumber}` },
    ]);
  });
});

describe('a serial number', () => {
  it('is positive, of 16 octets, and never the same', () => {
    const numbers = Array.from({ length: 500 }, createSerialNumber);
    expect(new Set(numbers).size).toBe(numbers.length);
    for (const number of numbers) expect(number).toMatch(/^[4-7][0-9A-F]{31}$/);
  });
});

describe('a revocation list', () => {
  it('tells what was revoked, when and why', async () => {
    const revokedAtMs = nowMs - 60_000;
    const serials = [createSerialNumber(), createSerialNumber()] as const;
    const list = issuing.makeRevocationList({
      entries: [
        { serialNumber: serials[0], revokedAtMs, reason: 'keyCompromise' },
        { serialNumber: serials[1], revokedAtMs, reason: 'unspecified' },
      ],
      number: 300,
      nowMs,
    });
    const crl = new X509Crl(list.pem);
    expect(await crl.verify({ publicKey: new X509Certificate(issuing.certificate) })).toBe(true);
    expect(crl.entries.map((entry) => entry.serialNumber.toUpperCase())).toEqual([...serials]);
    expect(crl.entries.map((entry) => entry.reason)).toEqual([X509CrlReason.keyCompromise, undefined]);
    expect(crl.entries[0]?.revocationDate.getTime()).toBe(revokedAtMs - 750);
    expect(crl.nextUpdate?.getTime()).toBe(nowMs - 750 + REVOCATION_LIST_VALIDITY_MS);
    expect(list.nextUpdateMs).toBe(crl.nextUpdate?.getTime());
    const number = crl.extensions.find(({ type }) => type === '2.5.29.20');
    expect(Buffer.from(number?.value ?? new ArrayBuffer()).toString('hex')).toBe('0202012c');
  });

  it('can be empty', async () => {
    const crl = new X509Crl(issuing.makeRevocationList({ entries: [], number: 1, nowMs }).pem);
    expect(crl.entries).toEqual([]);
    expect(await crl.verify({ publicKey: new X509Certificate(issuing.certificate) })).toBe(true);
  });
});

function opensslVersion(): string | undefined {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8' });
  } catch {
    return undefined;
  }
}

describe.skipIf(opensslVersion() === undefined)('openssl', () => {
  it('verifies the chains strictly, for their purpose only, and heeds the revocation list', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mqtt2go-pki-'));
    const file = (name: string, content: string) => {
      const path = join(folder, name);
      writeFileSync(path, content);
      return path;
    };
    const verify = (...args: string[]): string => {
      try {
        return execFileSync(
          'openssl',
          ['verify', '-x509_strict', '-attime', String(Math.floor(nowMs / 1000)), ...args],
          {
            encoding: 'utf8',
            stdio: ['ignore', 'pipe', 'pipe'],
          },
        );
      } catch (error) {
        return error instanceof Error ? error.message : '';
      }
    };
    try {
      const device = issuing.issueDevice({ deviceId: 'lamp', publicKey: deviceKeys.publicKey, nowMs });
      const preloaded = root.issuePreloadedDevice({ deviceId: 'lamp', publicKey: deviceKeys.publicKey, nowMs });
      const trust = ['-CAfile', file('root.pem', root.certificate), '-untrusted', file('ca.pem', issuing.certificate)];
      const leaf = file('leaf.pem', device.pem);
      expect(verify(...trust, '-purpose', 'sslclient', leaf)).toContain('OK');
      expect(verify(...trust, '-purpose', 'sslserver', leaf)).toContain('purpose');
      expect(verify(...trust, '-purpose', 'sslclient', file('idevid.pem', preloaded.pem))).toContain('OK');
      const entries = [{ serialNumber: device.serialNumber, revokedAtMs: nowMs, reason: 'superseded' as const }];
      const crl = file('crl.pem', issuing.makeRevocationList({ entries, number: 1, nowMs }).pem);
      expect(verify(...trust, '-crl_check', '-CRLfile', crl, leaf)).toContain('revoked');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
