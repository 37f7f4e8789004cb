import { generateKeys, SERVER_VALIDITY_MS, writePrivateKey } from '@mqtt2go/pki';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DeviceClock } from '../clock.js';
import { type StandInBroker, startStandInBroker } from '../stand-in/stand-in-broker.js';
import { StandInAuthority } from '../stand-in/stand-in-platform.js';
import { openTrustedSocket } from './trusted-socket.js';

const dayMs = 86_400_000;
const in1970 = () => 5_000;

describe('a server', () => {
  let authority: StandInAuthority;
  let foreign: StandInAuthority;
  let device: { certificate: string; key: string };
  let server: StandInBroker;

  beforeAll(async () => {
    authority = await StandInAuthority.create('stand-in root');
    foreign = await StandInAuthority.create('stand-in root');
    const keys = await generateKeys();
    const { pem } = authority.root.issueDevice({ deviceId: 'lamp', publicKey: keys.publicKey, nowMs: Date.now() });
    device = { certificate: pem, key: writePrivateKey(keys.privateKey) };
  });
  afterEach(() => server.close());

  async function serve(issuedMs: number, by = authority, hosts = ['localhost', '127.0.0.1']): Promise<void> {
    const keys = await generateKeys();
    const { pem } = by.root.issueServer({ commonName: 's', hosts, publicKey: keys.publicKey, nowMs: issuedMs });
    server = await startStandInBroker({
      cert: by.root.withChain(pem),
      key: writePrivateKey(keys.privateKey),
      clientCa: [authority.root.certificate],
    });
  }

  async function verdict(clock: DeviceClock): Promise<string> {
    const options = {
      host: '127.0.0.1',
      port: server.port,
      ca: authority.root.certificate,
      ...device,
      connectTimeoutMs: 5_000,
      clock,
    };
    try {
      const socket = await openTrustedSocket(options, new AbortController().signal);
      socket.destroy();
      return 'trusted';
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error);
    }
  }

  it('is trusted by a device with a clock while its certificate is valid, and not a day before or after', async () => {
    const now = new DeviceClock(Date.now);
    await serve(Date.now());
    expect(await verdict(now)).toBe('trusted');
    await server.close();
    await serve(Date.now() + 2 * dayMs);
    expect(await verdict(now)).toBe('server_untrusted');
    await server.close();
    await serve(Date.now() - SERVER_VALIDITY_MS - dayMs);
    expect(await verdict(now)).toBe('server_untrusted');
  });

  // To the system's clock these certificates are as all are to a clock in 1970: not valid yet.
  it('is trusted by a device whose clock is in 1970: its chain and its name are as good as ever', async () => {
    await serve(Date.now() + 2 * dayMs);
    expect(await verdict(new DeviceClock(in1970))).toBe('trusted');
  });

  it('is judged by the platform’s time, once that has been heard', async () => {
    await serve(Date.now() + 2 * dayMs);
    const clock = new DeviceClock(in1970);
    clock.heard(Date.now(), 0);
    expect(await verdict(clock)).toBe('server_untrusted');
    clock.heard(Date.now() + 3 * dayMs, 0);
    expect(await verdict(clock)).toBe('trusted');
  });

  it('is not trusted with a certificate that ended before the device’s own was issued, whatever the clock says', async () => {
    await serve(Date.now() - SERVER_VALIDITY_MS - dayMs);
    expect(await verdict(new DeviceClock(in1970))).toBe('server_untrusted');
  });

  it.each([
    ['of a foreign CA', () => foreign, undefined],
    ['for another host', () => authority, ['elsewhere.example']],
  ] as const)('is never trusted with a certificate %s, and nothing is said to it', async (_what, by, hosts) => {
    for (const issuedMs of [Date.now(), Date.now() + 2 * dayMs]) {
      await serve(issuedMs, by(), hosts && [...hosts]);
      expect(await verdict(new DeviceClock(Date.now))).toBe('server_untrusted');
      expect(await verdict(new DeviceClock(in1970))).toBe('server_untrusted');
      expect(server).toMatchObject({ connects: 0, bytes: 0 });
      await server.close();
    }
    await serve(Date.now());
  });

  it('is not trusted with a device’s certificate, which is no server’s', async () => {
    server = await startStandInBroker({
      cert: device.certificate,
      key: device.key,
      clientCa: [authority.root.certificate],
    });
    expect(await verdict(new DeviceClock(Date.now))).toBe('server_untrusted');
    expect(await verdict(new DeviceClock(in1970))).toBe('server_untrusted');
  });
});
