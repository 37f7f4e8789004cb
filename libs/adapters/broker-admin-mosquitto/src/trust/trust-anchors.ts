import { X509Certificate } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toPem } from '@mqtt2go/pki';
import { writeAtomically } from '../snapshot/write-atomically.js';
import { subjectHash } from './subject-hash.js';

/** What OpenSSL appends to a certificate that is trusted as such (`X509_CERT_AUX`): for client authentication. */
const trustedForClients = Buffer.from('300c300a06082b06010505070302', 'hex');
const anchorName = /^[0-9a-f]{8}\.[0-9]+$/;

/**
 * Makes a folder hold these CAs and no others, under the names by which OpenSSL looks for them at each handshake
 * (`capath`): one that is added counts from the next handshake on. One that is taken away goes on being trusted by a
 * broker that has looked it up before, until that starts again.
 * Each is an anchor by itself: one that is not self-signed is trusted without what is above it, and what its certificate
 * confines it to goes on being checked.
 * @param certificates PEM
 */
export async function writeTrustAnchors(folder: string, certificates: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  const wanted = new Map<string, string>();
  for (const certificate of new Set(certificates)) {
    const hash = subjectHash(certificate);
    let suffix = 0;
    while (wanted.has(`${hash}.${suffix}`)) suffix += 1;
    wanted.set(`${hash}.${suffix}`, anchorOf(certificate));
  }
  for (const [name, certificate] of wanted) {
    const path = join(folder, name);
    const before = await readFile(path, 'utf8').catch(() => undefined);
    if (before !== certificate) await writeAtomically(path, certificate);
  }
  for (const name of await readdir(folder)) {
    if (anchorName.test(name) && !wanted.has(name)) await rm(join(folder, name), { force: true });
  }
}

/** OpenSSL ends a chain at a self-signed certificate, or at one that is marked as trusted. */
function anchorOf(pem: string): string {
  const certificate = new X509Certificate(pem);
  if (certificate.checkIssued(certificate)) return pem;
  return toPem('TRUSTED CERTIFICATE', Buffer.concat([certificate.raw, trustedForClients]));
}
