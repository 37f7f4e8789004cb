import { type ChildProcess, fork } from 'node:child_process';
import { sign } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { Authority, generateKeys, writePrivateKey } from '@mqtt2go/pki';
import pLimit from 'p-limit';
import pg from 'pg';

/** Commits that an onboarding makes with us: its five transitions, certificate, admission, groups, waiting entry twice. */
export const durableWrites = 10;

interface ServerStart {
  readonly databaseUrl: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/**
 * What this machine could do at best: for each device two full handshakes of mutual TLS, one key pair, one signature
 * and the durable writes, with client and server in a process each, as simulators and platform are.
 * @returns devices per second
 */
export async function machineLimit(databaseUrl: string, devices: number, concurrency: number): Promise<number> {
  const nowMs = Date.now();
  const root = Authority.createRoot({
    commonName: 'Bench',
    keys: await generateKeys(),
    pathLength: 0,
    validityMs: 86_400_000,
    nowMs,
  });
  const identity = async (issue: 'server' | 'device'): Promise<{ cert: string; key: string }> => {
    const { privateKey, publicKey } = await generateKeys();
    const issued =
      issue === 'server'
        ? root.issueServer({ commonName: 'localhost', hosts: ['localhost'], publicKey, nowMs })
        : root.issueDevice({ deviceId: 'bench', publicKey, nowMs });
    return { cert: issued.pem, key: writePrivateKey(privateKey) };
  };
  const server = fork(process.argv[1] ?? '', ['limit-server']);
  try {
    const listening = once(server, 'message');
    const start: ServerStart = { databaseUrl, ca: root.certificate, ...(await identity('server')) };
    server.send(start);
    const [port] = await listening;
    const device = { ...(await identity('device')), ca: root.certificate, host: 'localhost', port: Number(port) };
    const visit = async (say: string): Promise<void> => {
      const socket = connect(device);
      await once(socket, 'secureConnect');
      socket.write(say);
      await once(socket, 'data');
      socket.destroy();
    };
    const one = async (): Promise<void> => {
      await visit('1');
      await visit('2');
    };
    const limit = pLimit(concurrency);
    await Promise.all(Array.from({ length: concurrency * 2 }, () => limit(one)));
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: devices }, () => limit(one)));
    return devices / ((performance.now() - startedAt) / 1000);
  } finally {
    await end(server);
  }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return;
  server.disconnect();
  await once(server, 'exit');
}

/** The other process: answers a byte to each visit, after the work that goes with it. */
export async function serveLimit(): Promise<void> {
  const [start] = (await once(process, 'message')) as [ServerStart];
  const pool = new pg.Pool({ connectionString: start.databaseUrl, max: 16 });
  await pool.query('CREATE TABLE IF NOT EXISTS public.bench_write (id bigserial PRIMARY KEY, body text)');
  const { privateKey } = await generateKeys();
  const body = 'x'.repeat(600);
  const write = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= 1)
      await pool.query({ name: 'write', text: 'INSERT INTO public.bench_write (body) VALUES ($1)', values: [body] });
  };
  const serve = async (socket: TLSSocket): Promise<void> => {
    const [first] = (await once(socket, 'data')) as [Buffer];
    if (first.toString() === '1') {
      await generateKeys();
      sign('sha256', Buffer.from(body), privateKey);
      await write(durableWrites / 2);
    } else await write(durableWrites / 2);
    socket.write('.');
  };
  const server = createServer({ ...start, requestCert: true, rejectUnauthorized: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    serve(socket).catch(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    process.send?.(typeof address === 'object' ? address?.port : 0);
  });
  await once(process, 'disconnect');
  await pool.query('DROP TABLE public.bench_write').catch(() => undefined);
  await pool.end();
  process.exit(0);
}
