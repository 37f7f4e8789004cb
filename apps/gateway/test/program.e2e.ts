import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestDatabase, type TestDatabase, waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bootstrap } from '../../../tools/bootstrap.mjs';
import { freePorts } from './support/gateway-process.js';
import { databasePid, isAlive, Program } from './support/program.js';

/** The end of the panel. */
const isReady = (line: string): boolean => line.includes('Ctrl-C stops everything');

describe('the gateway as a program', () => {
  let ports: Record<string, string>;
  let database: TestDatabase;
  /** With the embedded database. */
  let dataDir: string;
  /** With a database of DATABASE_URL. */
  let otherDir: string;
  const running: Program[] = [];

  beforeAll(async () => {
    await bootstrap();
    ports = await freePorts();
    database = await createTestDatabase();
    dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-program-'));
    otherDir = await mkdtemp(join(tmpdir(), 'mqtt2go-program-'));
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((program) => program.end()));
  });
  afterAll(async () => {
    await database.drop();
    await Promise.all([dataDir, otherDir].map((folder) => rm(folder, { recursive: true, force: true })));
  });

  const start = (env: Record<string, string> = {}, args: readonly string[] = []): Program => {
    const program = Program.start('gateway', { ...ports, MQTT2GO_DATA_DIR: dataDir, ...env }, undefined, args);
    running.push(program);
    return program;
  };
  const startElsewhere = (env: Record<string, string> = {}): Program =>
    start({ MQTT2GO_DATA_DIR: otherDir, DATABASE_URL: database.url, ...env });
  const rootCa = async (folder = dataDir): Promise<string> => {
    const pem = await readFile(join(folder, 'tls', 'ca.crt'), 'utf8');
    return createHash('sha256').update(pem).digest('hex');
  };
  /** One clear line on stderr, and exit code 1. */
  const refuses = async (program: Program, ...words: string[]): Promise<void> => {
    expect(await program.ended, program.text).toEqual({ code: 1, signal: null });
    expect(program.err, program.text).toHaveLength(1);
    expect(program.out).toEqual([]);
    for (const word of ['mqtt2go: ', ...words]) expect(program.err[0]).toContain(word);
  };

  describe('with its own database', () => {
    it('shows where everything is and what to do next, goes on where it ended, and leaves nothing running', async () => {
      const first = start();
      await first.says(isReady);
      const panel = first.out.join('\n');
      const { HOME, HOME_WSS, ACTIVATION, DISCOVERY, HEALTH } = Object.fromEntries(
        Object.entries(ports).map(([name, port]) => [name.replace(/^MQTT2GO_|_PORT$/g, ''), port]),
      );
      for (const shown of [
        'MQTT2GO is ready',
        'remote-broker',
        `mqtts://localhost:${HOME}`,
        `wss://localhost:${HOME_WSS}`,
        `mqtts://localhost:${ACTIVATION}`,
        `https://localhost:${DISCOVERY}`,
        `http://127.0.0.1:${HEALTH}`,
        dataDir,
        'embedded PostgreSQL',
        'Services here     all',
        'npx mqtt2go demo',
        'npx mqtt2go --help',
      ]) {
        expect(panel).toContain(shown);
      }
      // biome-ignore lint/suspicious/noControlCharactersInRegex: no colours where nobody sees them
      expect(panel).not.toMatch(/\x1b/);
      const ca = await rootCa();
      const postgres = await databasePid(dataDir);
      expect(postgres).toEqual(expect.any(Number));

      expect(await first.end('SIGINT')).toEqual({ code: 0, signal: null });
      expect(first.err).toEqual([]);
      // Its lock file goes a moment before its last process.
      await waitFor(() => !isAlive(postgres ?? 0), 'the end of PostgreSQL');
      expect(await databasePid(dataDir)).toBeUndefined();
      await expect(readFile(join(dataDir, 'platform.json'))).rejects.toMatchObject({ code: 'ENOENT' });

      const second = start();
      await second.says(isReady);
      expect(await rootCa()).toBe(ca);
      expect(await second.end('SIGTERM')).toEqual({ code: 0, signal: null });
      expect(await databasePid(dataDir)).toBeUndefined();
    });

    it('is a gateway in the house by an option, which goes before the variable', async () => {
      const program = start({ MQTT2GO_PROFILE: 'remote-broker' }, ['--profile', 'local-gateway']);
      await program.says(isReady);
      const panel = program.out.join('\n');
      expect(panel).toContain('local-gateway');
      expect(panel).toContain(`mqtts://localhost:${ports.MQTT2GO_HOME_PORT}`);
      expect(panel).toContain(`https://localhost:${ports.MQTT2GO_MANAGEMENT_PORT}`);
      for (const gone of [ports.MQTT2GO_ACTIVATION_PORT, ports.MQTT2GO_DISCOVERY_PORT]) {
        expect(panel).not.toContain(`:${gone}`);
        await expect(fetch(`https://localhost:${gone}`)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
      }
      expect(panel).not.toContain('Discovery');

      const demo = Program.start('cli', { MQTT2GO_DATA_DIR: dataDir }, undefined, ['demo', '--json']);
      running.push(demo);
      expect((await demo.ended).code, demo.text).toBe(0);
      const steps = demo.log.filter(({ event }) => event === 'step').map(({ step }) => step);
      // The 4th goes to a Discovery server.
      expect(steps).toEqual([1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
      expect(demo.text).toContain('GET_CREDENTIALS');
      expect(demo.log.at(-1)).toMatchObject({ event: 'done', answer: 'ok', state: { state: 'on' }, steps: 12 });
    });

    it('tells its options, and which profiles there are to whoever names another', async () => {
      const help = start({}, ['--help']);
      expect((await help.ended).code).toBe(0);
      expect(help.text).toContain('--profile');
      const other = start({}, ['--profile', 'cloud']);
      expect((await other.ended).code).toBe(1);
      for (const word of ['cloud', 'remote-broker', 'local-gateway']) expect(other.text).toContain(word);
    });

    it('refuses a folder that another process has, which goes on', async () => {
      const holder = start();
      await holder.says(isReady);
      await refuses(start(await freePorts()), dataDir, `in use by process ${holder.pid}`, 'MQTT2GO_DATA_DIR');
      expect((await fetch(`http://127.0.0.1:${ports.MQTT2GO_HEALTH_PORT}/health/ready`)).status).toBe(200);
    });

    it('takes over what a killed one left, its database too', async () => {
      const killed = start();
      await killed.says(isReady);
      const ca = await rootCa();
      const postgres = await databasePid(dataDir);
      await killed.end('SIGKILL');
      expect(isAlive(postgres ?? 0)).toBe(true);
      const next = start();
      await next.says(isReady);
      expect(await rootCa()).toBe(ca);
      expect(await databasePid(dataDir)).toBe(postgres);
      expect(await next.end('SIGINT')).toEqual({ code: 0, signal: null });
      expect(await databasePid(dataDir)).toBeUndefined();
    });

    it('refuses another encryption key than that of its data, and ends its database', async () => {
      await refuses(start({ MQTT2GO_KEY: randomBytes(32).toString('base64') }), 'key');
      expect(await databasePid(dataDir)).toBeUndefined();
    });

    it('says nothing of a fault when Ctrl-C comes while it starts', async () => {
      const program = start();
      await waitFor(() => databasePid(dataDir), 'the database');
      const { code } = await program.end('SIGINT');
      expect([0, 130]).toContain(code);
      expect(program.err).toEqual([]);
      expect(await databasePid(dataDir)).toBeUndefined();
    });
  });

  describe('with DATABASE_URL', () => {
    it('uses that database and starts none of its own', async () => {
      const program = startElsewhere();
      await program.says(isReady);
      const { host, pathname, password } = new URL(database.url);
      expect(program.text).toContain(`PostgreSQL at ${host}${pathname}`);
      expect(program.text).not.toContain(password);
      await expect(readFile(join(otherDir, 'postgres', 'password'))).rejects.toMatchObject({ code: 'ENOENT' });
      expect(await program.end('SIGINT')).toEqual({ code: 0, signal: null });
    });

    it('tells of a plugin that is not there, and runs the rest', async () => {
      const program = startElsewhere({ MQTT2GO_PLUGINS: 'revision-1,nonexistent' });
      await program.says(isReady);
      expect(program.out.filter((line) => line.includes('! ') && line.includes('nonexistent'))).toHaveLength(1);
      expect((await fetch(`http://127.0.0.1:${ports.MQTT2GO_HEALTH_PORT}/health/ready`)).status).toBe(200);
    });

    it('refuses a port that another program has, by its name', async () => {
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const address = other.address();
      const taken = String(typeof address === 'object' ? address?.port : '');
      try {
        for (const name of ['HOME', 'HOME_WSS', 'ACTIVATION', 'DISCOVERY', 'HEALTH', 'BUS']) {
          const variable = `MQTT2GO_${name}_PORT`;
          await refuses(startElsewhere({ [variable]: taken }), `Port ${taken}`, 'in use', variable);
        }
      } finally {
        other.close();
      }
    });

    it.each([
      [{ MQTT2GO_HOME_PORT: 'abc' }, ["MQTT2GO_HOME_PORT is 'abc'", 'a port number']],
      [{ MQTT2GO_HEALTH_PORT: '65536' }, ['MQTT2GO_HEALTH_PORT', 'a port number']],
      [{ MQTT2GO_PROFILE: 'local' }, ['MQTT2GO_PROFILE', "'local'", "'remote-broker' or 'local-gateway'"]],
      [{ MQTT2GO_PROFILE: 'nonsense' }, ['MQTT2GO_PROFILE', 'remote-broker']],
      [{ MQTT2GO_KEY: 'short' }, ['MQTT2GO_KEY', '32 bytes']],
      [{ MQTT2GO_KEY_FILE: '/nowhere' }, ['MQTT2GO_KEY_FILE', '/nowhere']],
      [{ MQTT2GO_SERVICES: 'discovery,nonsense' }, ['MQTT2GO_SERVICES', 'nonsense']],
      [{ MQTT2GO_BIND: 'nonsense' }, ['MQTT2GO_BIND', 'nonsense']],
      [{ MQTT2GO_BIND: '203.0.113.1' }, ['MQTT2GO_BIND', '203.0.113.1']],
      [{ MQTT2GO_PUBLIC_HOST: 'https://x/' }, ['MQTT2GO_PUBLIC_HOST']],
      [{ MQTT2GO_LOG_LEVEL: 'loud' }, ['MQTT2GO_LOG_LEVEL', 'loud']],
      [{ MQTT2GO_DATA_DIR: '/proc/mqtt2go' }, ['MQTT2GO_DATA_DIR', '/proc/mqtt2go']],
      [{ MQTT2GO_DATA_DIR: '/dev/null/mqtt2go' }, ['MQTT2GO_DATA_DIR', '/dev/null/mqtt2go']],
      [{ DATABASE_URL: 'mysql://u:secret@localhost/x' }, ['DATABASE_URL', 'postgres://']],
    ])('refuses %j', async (env: Record<string, string>, words) => {
      const program = startElsewhere(env);
      await refuses(program, ...words);
      expect(program.text).not.toContain('secret');
    });

    it('refuses a database that does not know its password, without showing it', async () => {
      const url = new URL(database.url);
      url.password = 'wrong-secret';
      const program = startElsewhere({ DATABASE_URL: url.href });
      await refuses(program, url.host);
      expect(program.text).not.toContain('secret');
    });
  });
});
