import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlatformFile } from '@mqtt2go/config';
import { Bus, certificateAuthority, tlsLink } from '@mqtt2go/messaging';
import { generateKeys, writePublicKey } from '@mqtt2go/pki';
import pLimit from 'p-limit';

/** Certificates per second, asked for over the service bus as provisioning does, each stored durably. */
export async function certificatesPerSecond(file: PlatformFile, count: number, concurrency: number): Promise<number> {
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
    const keys = await Promise.all(
      Array.from({ length: count }, async () => writePublicKey((await generateKeys()).publicKey)),
    );
    const limit = pLimit(concurrency);
    const issue = (publicKey: string, index: number): Promise<unknown> =>
      bus.call(certificateAuthority.issueDeviceCertificate, {
        onboardingId: randomUUID(),
        deviceId: `bench-${process.pid}-${index}`,
        keyMode: 'existing-key',
        publicKey,
      });
    const startedAt = performance.now();
    await Promise.all(keys.map((key, index) => limit(() => issue(key, index))));
    return count / ((performance.now() - startedAt) / 1000);
  } finally {
    await bus.close();
  }
}
