import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { running } from '../stand-in/running.js';
import { type StandInBus, startStandInBus } from '../stand-in/stand-in-bus.js';

let bus: StandInBus;
beforeEach(async () => {
  bus = await startStandInBus();
});
afterEach(() => bus.close());

const run = (...args: string[]) => running(['gateway', ...args, '--data', bus.dataDir]);
const place = ['--home', 'home-1', '--gateway', 'gw-1'];

describe('gateway invite', () => {
  const invitation = {
    homeId: 'home-1',
    gatewayId: 'gw-1',
    cloudUrl: 'https://cloud.example:8889',
    root: 'PEM',
    token: 'T'.repeat(43),
    expiresAt: '2026-01-02T00:00:00.000Z',
  };
  beforeEach(() => bus.answers.set('mqtt2go/federation/invite-gateway', () => invitation));

  it('writes the invitation for its owner’s eyes only, and says no token', async () => {
    const file = join(bus.dataDir, 'invitation.json');
    const { code, out } = await run('invite', ...place, '--out', file, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      file,
      home_id: 'home-1',
      gateway_id: 'gw-1',
      cloud_url: invitation.cloudUrl,
      expires_at: invitation.expiresAt,
    });
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(invitation);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await run('invite', ...place, '--out', file)).toMatchObject({ code: 1 });
    expect(await run('invite', ...place, '--out', file, '--force')).toMatchObject({ code: 0 });
  });

  it('refuses an id that is none', async () => {
    expect(await run('invite', '--home', 'a/b', '--gateway', 'gw-1', '--out', 'x')).toMatchObject({ code: 2 });
    expect(bus.calls).toEqual([]);
  });
});

describe('gateway list', () => {
  it('shows every page', async () => {
    const gateway = { homeId: 'home-1', gatewayId: 'gw-1', state: 'enrolled', invitedAt: '2026-01-01T00:00:00Z' };
    bus.answers.set('mqtt2go/federation/list-gateways', (body) => ({
      gateways: typeof body === 'object' && body !== null && 'after' in body ? [] : [gateway],
    }));
    const { code, out } = await run('list', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ home_id: 'home-1', gateway_id: 'gw-1', state: 'enrolled', seen_at: null });
    expect(bus.calls.map(({ body }) => body)).toEqual([{}, { after: { homeId: 'home-1', gatewayId: 'gw-1' } }]);
  });
});

describe('gateway revoke', () => {
  it('revokes, and tells the platform’s refusal', async () => {
    expect(await run('revoke', ...place)).toMatchObject({ code: 0 });
    expect(bus.calls).toEqual([
      { pattern: 'mqtt2go/federation/revoke-gateway', body: { homeId: 'home-1', gatewayId: 'gw-1' } },
    ]);
    bus.answers.set('mqtt2go/federation/revoke-gateway', () => {
      throw new Mqtt2goError('unknown_gateway', 'No such gateway was invited.');
    });
    expect(await run('revoke', ...place)).toMatchObject({
      code: 1,
      err: 'mqtt2go: unknown_gateway: No such gateway was invited. mqtt2go gateway list names those there are.\n',
    });
  });
});

describe('gateway status', () => {
  it('tells of the link and the bridge', async () => {
    const bridge = { enabled: true, connected: false, queued: 3, lastError: 'no route' };
    const status = { enrolled: true, homeId: 'home-1', gatewayId: 'gw-1', cloudUrl: 'https://cloud:8889', bridge };
    bus.answers.set('mqtt2go/federation/get-link-status', () => status);
    const { out } = await run('status');
    expect(out).toContain('down, 3 messages wait');
    expect(out).toContain('no route');
    bus.answers.set('mqtt2go/federation/get-link-status', () => ({ enrolled: false }));
    expect((await run('status')).out).toContain('enrolled at no cloud');
  });
});
