import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Authority, generateKeys, writePrivateKey } from '@mqtt2go/pki';
import pLimit from 'p-limit';
import { Pool } from 'undici';
import { z } from 'zod';
import { certificateRequests, certificatesPerSecond } from './certificates.js';
import { GatewayProcess } from './gateway-process.js';
import type { Row } from './report.js';

const answer = z.object({ success: z.literal(true) });
const rounds = 3;

/** Certificates per second beside those of CFSSL's server, for the same requests; each measured in turn, the best of its rounds. */
export async function certificatesBench(
  count: number,
  concurrency: number,
  tell: (line: string) => void,
): Promise<Row[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-bench-'));
  const gateway = await GatewayProcess.start(dataDir);
  try {
    const cfssl = await Cfssl.start();
    try {
      const own: number[] = [];
      const ownKnown: number[] = [];
      const peer: number[] = [];
      for (let round = 1; round <= rounds; round += 1) {
        tell(`round ${round} of ${rounds} ...`);
        const requests = await certificateRequests(count);
        peer.push(await cfssl.certificatesPerSecond(requests, concurrency));
        own.push(await certificatesPerSecond(gateway.file, { count, concurrency, requests }));
        ownKnown.push(await certificatesPerSecond(gateway.file, { count, concurrency }));
      }
      const [best, bestOfPeer] = [Math.max(...own), Math.max(...peer)];
      return [
        { what: 'certificates for requests (CSR), stored durably', value: best, unit: '/s' },
        { what: 'certificates for keys from the factory, stored durably', value: Math.max(...ownKnown), unit: '/s' },
        { what: 'CFSSL, certificates for the same requests, not stored', value: bestOfPeer, unit: '/s' },
        { what: 'ratio to CFSSL', value: best / bestOfPeer, unit: '', aim: '1', reached: best >= bestOfPeer },
      ];
    } finally {
      await cfssl.stop();
    }
  } finally {
    await gateway.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** CFSSL's server with a P-256 CA, on loopback. */
class Cfssl {
  private constructor(
    private readonly child: ReturnType<typeof spawn>,
    private readonly folder: string,
    private readonly url: string,
  ) {}

  /** @throws Error when `cfssl` is not installed (Debian: golang-cfssl) */
  static async start(): Promise<Cfssl> {
    const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-cfssl-'));
    const keys = await generateKeys();
    const root = Authority.createRoot({ commonName: 'CFSSL', keys, nowMs: Date.now(), validityMs: 86_400_000 });
    const config = { signing: { default: { expiry: '8760h', usages: ['digital signature', 'client auth'] } } };
    await writeFile(join(folder, 'ca.pem'), root.certificate);
    await writeFile(join(folder, 'ca-key.pem'), writePrivateKey(keys.privateKey), { mode: 0o600 });
    await writeFile(join(folder, 'config.json'), JSON.stringify(config));
    const port = await freePort();
    const child = spawn(
      'cfssl',
      [
        ...['serve', '-address', '127.0.0.1', '-port', String(port), '-loglevel', '4'],
        ...['-ca', join(folder, 'ca.pem'), '-ca-key', join(folder, 'ca-key.pem')],
        ...['-config', join(folder, 'config.json')],
      ],
      { cwd: folder, stdio: 'ignore' },
    );
    const failed = once(child, 'error').then(([error]) => {
      throw new Error("cfssl could not be started; Debian's package is golang-cfssl", { cause: error });
    });
    const cfssl = new Cfssl(child, folder, `http://127.0.0.1:${port}`);
    await Promise.race([failed, cfssl.untilUp()]);
    return cfssl;
  }

  async certificatesPerSecond(requests: readonly string[], concurrency: number): Promise<number> {
    const pool = new Pool(this.url, { connections: concurrency });
    const limit = pLimit(concurrency);
    const sign = async (request: string): Promise<void> => {
      const { body } = await pool.request({
        path: '/api/v1/cfssl/sign',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ certificate_request: request }),
      });
      answer.parse(await body.json());
    };
    try {
      const startedAt = performance.now();
      await Promise.all(requests.map((request) => limit(() => sign(request))));
      return requests.length / ((performance.now() - startedAt) / 1000);
    } finally {
      await pool.close();
    }
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.pid !== undefined) {
      const ended = once(this.child, 'exit');
      this.child.kill('SIGTERM');
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  private async untilUp(): Promise<void> {
    for (let tries = 200; ; tries -= 1) {
      try {
        await fetch(this.url);
        return;
      } catch (error) {
        if (tries === 0) throw error;
        await delay(50);
      }
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('unreachable: a TCP server has a port');
  return address.port;
}
