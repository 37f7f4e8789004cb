import { deviceSubject } from '@mqtt2go/pki';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mosquittoFiles, subjectHash } from '@mqtt2go/broker-admin-mosquitto';
import { contracts } from '@mqtt2go/messaging';
import { FakeClock } from '@mqtt2go/ports';
import {
  createTestCertificates,
  createTestDatabase,
  silentLogger,
  type TestDatabase,
  waitFor,
  within,
} from '@mqtt2go/testing';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AccessKeeper,
  type AccessSource,
  openAccessSource,
  withControllersCertificate,
  writeAccess,
  writeBrokerFiles,
} from './broker-folder.js';
import { migrateAll } from './migrate-all.js';

let root: string;
let folder: string;
let source: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'mqtt2go-broker-'));
  [folder, source] = [join(root, 'config'), join(root, 'secret')];
  await Promise.all([mkdir(folder), mkdir(source)]);
});
afterEach(() => rm(root, { recursive: true }));

const inFolder = (...path: string[]) => readFile(join(folder, ...path), 'utf8');

describe("a broker's files", () => {
  it('are copied from the mounted Secret, its inner folders left out', async () => {
    // As a kubelet mounts it.
    await mkdir(join(source, '..2026_01_01'));
    await writeFile(join(source, '..2026_01_01', 'services.key'), 'a key');
    await symlink('..2026_01_01', join(source, '..data'));
    await symlink('..data/services.key', join(source, 'services.key'));
    await writeFile(join(source, 'deeper__file'), 'deep');
    await writeBrokerFiles({ folder, source });
    expect((await readdir(folder)).toSorted()).toEqual(['deeper', 'services.key']);
    expect(await inFolder('services.key')).toBe('a key');
    expect(await inFolder('deeper', 'file')).toBe('deep');
    expect((await stat(join(folder, 'services.key'))).mode & 0o777).toBe(0o600);
  });

  it('show controllers another certificate, and nobody else', async () => {
    const configuration = mosquittoFiles({ name: 'home-0', role: 'home', contracts })['mosquitto.conf'] ?? '';
    const controllersTls = join(root, 'controllers');
    await mkdir(controllersTls);
    await writeFile(join(controllersTls, 'tls.crt'), 'a public certificate');
    await writeFile(join(controllersTls, 'tls.key'), 'its key');
    await writeFile(join(source, 'mosquitto.conf'), configuration);
    await writeBrokerFiles({ folder, source, controllersTls });

    const certificates = Object.fromEntries(
      (await inFolder('mosquitto.conf'))
        .split(/^listener /m)
        .slice(1)
        .map((text) => [Number.parseInt(text, 10), /^certfile .*\/(.*)$/m.exec(text)?.[1]]),
    );
    expect(certificates).toEqual({
      8883: 'server.crt',
      8889: 'controllers.crt',
      8884: 'controllers.crt',
      8887: 'services.crt',
    });
    expect(await inFolder('mosquitto.conf')).toBe(
      configuration
        .split('\n\n')
        .map((part) => (/^listener (8889|8884)$/m.test(part) ? part.replaceAll('/server.', '/controllers.') : part))
        .join('\n\n'),
    );
    expect(await inFolder('controllers.crt')).toBe('a public certificate');
    expect(await inFolder('controllers.key')).toBe('its key');
  });

  it('are refused a certificate for controllers that the broker does not know', () => {
    const configuration = mosquittoFiles({ name: 'bus', role: 'bus', contracts })['mosquitto.conf'] ?? '';
    expect(() => withControllersCertificate(configuration)).toThrow('mosquitto.conf has no listener for controllers');
  });
});

describe("a broker's access", () => {
  let database: TestDatabase;
  let client: pg.Client;
  const clock = new FakeClock();

  beforeEach(async () => {
    database = await createTestDatabase();
    await migrateAll({ databaseUrl: database.url, log: silentLogger });
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterEach(async () => {
    await client.end();
    await database.drop();
  });

  const open = (broker: string, gateways = false) =>
    openAccessSource({
      databaseUrl: database.url,
      broker,
      isFirst: broker === 'home-0',
      gateways,
      clock,
      log: silentLogger,
    });

  async function write(broker: string, gateways = false): Promise<void> {
    const access = await open(broker, gateways);
    await writeAccess(folder, access).finally(() => access.close());
  }

  const usernames = async (): Promise<string[]> =>
    JSON.parse(await inFolder('access', 'dynamic-security.json'))
      .clients.map(({ username }: { username: string }) => username)
      .toSorted();

  async function addHome(home: string, broker: string | null): Promise<void> {
    const device = `lamp-${home}`;
    await client.query('INSERT INTO topic_generator.home (home_id, broker) VALUES ($1, $2)', [home, broker]);
    await client.query("INSERT INTO topic_generator.gateway (home_id, gateway_id) VALUES ($1, 'g')", [home]);
    await client.query(
      "INSERT INTO topic_generator.device (device_id, home_id, gateway_id, device_type) VALUES ($1, $2, 'g', 'lamp')",
      [device, home],
    );
    await client.query(
      "INSERT INTO topic_generator.device_certificate (device_id, serial_number, admitted_at) VALUES ($1, '1', now())",
      [device],
    );
    await client.query(
      `INSERT INTO topic_generator.controller
         (username, home_id, gateway_id, role, password_iterations, password_salt, password_hash, password_sealed)
       VALUES ($1, $2, 'g', 'administrator', 101, 'c2FsdHNhbHRzYWx0', 'aGFzaA==', $3)`,
      [`ann@${home}`, home, Buffer.from('sealed with a key that is not here')],
    );
  }

  it('has the devices and controllers of its own homes, without the key for passwords', async () => {
    await addHome('one', 'home-0');
    await addHome('two', 'home-1');
    await addHome('old', null);
    await write('home-0');
    expect(await usernames()).toEqual(['ann@old', 'ann@one', 'lamp-old', 'lamp-one']);
    expect(await inFolder('access', 'dynamic-security.json')).toContain('"$7$101$c2FsdHNhbHRzYWx0$aGFzaA=="');
    await write('home-1');
    expect(await usernames()).toEqual(['ann@two', 'lamp-two']);
  });

  it('has the manufacturers whose devices may knock', async () => {
    const { ca } = await createTestCertificates();
    await client.query(
      "INSERT INTO discovery.manufacturer (fingerprint, name, certificate, registered_at) VALUES ('f', 'm', $1, now())",
      [ca],
    );
    await write('activation');
    expect(await usernames()).toEqual([]);
    expect(await readdir(join(folder, 'access', 'trust'))).toEqual([`${subjectHash(ca)}.0`]);
    await client.query('DELETE FROM discovery.manufacturer');
    await write('activation');
    expect(await readdir(join(folder, 'access', 'trust'))).toEqual([]);
  });

  it('has the gateways of its own homes, where it is for homes with gateways', async () => {
    await addHome('one', 'home-0');
    await addHome('two', 'home-1');
    const { ca, otherCa } = { ca: (await createTestCertificates()).ca, otherCa: (await createTestCertificates()).ca };
    for (const [home, certificate] of [
      ['one', ca],
      ['two', otherCa],
    ]) {
      await client.query("INSERT INTO topic_generator.gateway_authority VALUES ($1, 'g', 'k', $2)", [
        home,
        certificate,
      ]);
    }
    await write('home-0', true);
    const lamp = deviceSubject('lamp-one');
    expect(await usernames()).toEqual(['ann@one', lamp, deviceSubject('lamp-one', 'one')].sort());
    const trust = join(folder, 'access', 'trust');
    expect(await readdir(trust)).toEqual([`${subjectHash(ca)}.0`]);
    expect(await readFile(join(trust, `${subjectHash(ca)}.0`), 'utf8')).toBe(ca);
    await client.query('DELETE FROM topic_generator.gateway_authority');
    await write('home-0', true);
    expect(await readdir(trust)).toEqual([]);
    expect(await usernames()).toEqual(['ann@one', lamp]);
  });

  it('is not written again while it is the same', async () => {
    await addHome('one', 'home-0');
    await write('home-0');
    const { mtimeMs, ino } = await stat(join(folder, 'access', 'dynamic-security.json'));
    await write('home-0');
    expect(await stat(join(folder, 'access', 'dynamic-security.json'))).toMatchObject({ mtimeMs, ino });
  });

  it('follows the database until it is stopped', async () => {
    const keeper = new AccessKeeper({ folder, intervalMs: 10, log: silentLogger, open: () => open('home-0') });
    expect(() => keeper.check()).toThrow('not written yet');
    const kept = keeper.keep();
    await waitFor(
      () =>
        usernames()
          .then((names) => names.length === 0)
          .catch(() => false),
      'the first snapshot',
    );
    await addHome('one', 'home-0');
    await waitFor(async () => (await usernames()).includes('lamp-one'), 'the snapshot with the device');
    keeper.check();
    keeper.stop();
    await within(kept, 'the end');
  });

  it('waits for a database that is not there, and says so meanwhile', async () => {
    let tries = 0;
    const flaky = async (): Promise<AccessSource> => {
      tries += 1;
      if (tries < 3) throw new Error('no database');
      return open('home-0');
    };
    const keeper = new AccessKeeper({ folder, intervalMs: 1, log: silentLogger, open: flaky });
    await within(keeper.once(), 'the snapshot');
    expect(tries).toBe(3);
    expect(await usernames()).toEqual([]);
  });

  it('keeps the snapshot of before when the database goes away', async () => {
    await addHome('one', 'home-0');
    const first = await open('home-0');
    let isThere = true;
    const broken: AccessSource = {
      role: 'home',
      principals: () => {
        if (!isThere) throw new Error('the database is gone');
        return first.principals();
      },
      close: async () => undefined,
    };
    const keeper = new AccessKeeper({ folder, intervalMs: 1, log: silentLogger, open: async () => broken });
    const kept = keeper.keep();
    await waitFor(
      () =>
        usernames()
          .then((names) => names.length === 2)
          .catch(() => false),
      'the snapshot',
    );
    isThere = false;
    await waitFor(() => {
      try {
        keeper.check();
        return false;
      } catch (error) {
        // Until its first write is told of, it complains of that.
        return error instanceof Error && error.message.includes('the database is gone');
      }
    }, 'the complaint');
    expect(await usernames()).toEqual(['ann@one', 'lamp-one']);
    keeper.stop();
    await kept;
    await first.close();
  });
});
