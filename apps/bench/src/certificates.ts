import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlatformFile } from '@mqtt2go/config';
import { Bus, certificateAuthority, tlsLink } from '@mqtt2go/messaging';
import { createCertificateRequest, generateKeys, writePublicKey } from '@mqtt2go/pki';
import pLimit from 'p-limit';

export interface CertificateLoad {
  readonly count: number;
  readonly concurrency: number;
  /** Requests that are read and verified, instead of keys that the platform knows from the factory. */
  readonly requests?: readonly string[];
}

/** The device of the request at `index` of {@link certificateRequests}. */
const deviceIdAt = (index: number): string => `bench-${process.pid}-${index}`;

/** PKCS#10 requests (PEM), each for a P-256 key of its own. */
export async function certificateRequests(count: number): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) =>
      createCertificateRequest({ deviceId: deviceIdAt(index), keys: await generateKeys() }),
    ),
  );
}

/** Certificates per second, asked for over the service bus as provisioning does, each stored durably. */
export async function certificatesPerSecond(file: PlatformFile, load: CertificateLoad): Promise<number> {
  const { count, concurrency, requests } = load;
  const read = (...path: string[]): Promise<string> => readFile(join(file.tlsDir, ...path), 'utf8');
  const bus = new Bus(
    tlsLink({
      url: file.busUrl,
      ca: await read('services-ca.crt'),
      cert: await read('services', 'provisioning.crt'),
      key: await read('services', 'provisioning.key'),
      clientId: 'provisioning',
    }),
  );
  try {
    const given = await Promise.all(
      Array.from({ length: count }, async (_, index) =>
        requests === undefined
          ? { keyMode: 'existing-key' as const, publicKey: writePublicKey((await generateKeys()).publicKey) }
          : { keyMode: 'csr' as const, csr: requests[index] },
      ),
    );
    const limit = pLimit(concurrency);
    const startedAt = performance.now();
    await Promise.all(
      given.map((keyOrRequest, index) =>
        limit(() =>
          bus.call(certificateAuthority.issueDeviceCertificate, {
            onboardingId: randomUUID(),
            deviceId: deviceIdAt(index),
            ...keyOrRequest,
          }),
        ),
      ),
    );
    return count / ((performance.now() - startedAt) / 1000);
  } finally {
    await bus.close();
  }
}
