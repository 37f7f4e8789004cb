import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { running } from '../stand-in/running.js';
import { type StandInBus, startStandInBus } from '../stand-in/stand-in-bus.js';
import { readCredentials } from './credentials.js';

const pattern = 'mqtt2go/topic-generator/create-controller';

describe('controller credentials', () => {
  let bus: StandInBus;
  let folder: string;
  beforeEach(async () => {
    bus = await startStandInBus();
    bus.answers.set(pattern, () => ({ username: 'user', password: 'secret-password', url: 'mqtts://localhost:1883' }));
    folder = join(bus.dataDir, 'app');
  });
  afterEach(() => bus.close());
  const make = (...more: string[]) =>
    running([
      'controller',
      'credentials',
      '--home',
      'h',
      '--gateway',
      'g',
      '--out',
      folder,
      '--data',
      bus.dataDir,
      ...more,
    ]);

  it('writes what an app needs, for its owner’s eyes only', async () => {
    const { code, out } = await make();
    expect(code).toBe(0);
    expect(out).not.toContain('secret-password');
    expect(await readCredentials(folder)).toEqual({
      url: 'mqtts://localhost:1883',
      username: 'user',
      password: 'secret-password',
      home_id: 'h',
      gateway_id: 'g',
      ca: bus.ca,
    });
    expect((await stat(join(folder, 'credentials.json'))).mode & 0o777).toBe(0o600);
    expect(bus.calls[0]?.body).toEqual({ homeId: 'h', gatewayId: 'g' });
  });

  it('does not overwrite other credentials unless it is told to', async () => {
    await make();
    const before = await readFile(join(folder, 'credentials.json'), 'utf8');
    bus.answers.set(pattern, () => ({ username: 'other', password: 'p', url: 'mqtts://localhost:1883' }));
    expect(await make()).toMatchObject({ code: 1 });
    expect(await readFile(join(folder, 'credentials.json'), 'utf8')).toBe(before);
    expect(await make('--force', '--username', 'other')).toMatchObject({ code: 0 });
    expect((await readCredentials(folder)).username).toBe('other');
  });

  it('tells the platform’s refusal', async () => {
    bus.answers.set(pattern, () => {
      throw new Mqtt2goError('conflict', 'The user is one of another home.');
    });
    expect(await make()).toMatchObject({ code: 1, err: 'mqtt2go: conflict: The user is one of another home.\n' });
  });
});
