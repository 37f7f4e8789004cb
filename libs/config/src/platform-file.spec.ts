import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { platformFilePath, readPlatformFile, removePlatformFile, writePlatformFile } from './platform-file.js';

const content = {
  profile: 'local-gateway',
  host: 'localhost',
  ports: { home: 8883, homeWss: 8884, activation: 8885, discovery: 8443, bus: 8886, health: 9090 },
  busUrl: 'mqtts://127.0.0.1:8886',
  controllerUrl: 'mqtts://localhost:8883',
  tlsDir: '/data/tls',
  pid: 4711,
  startedAt: '2026-01-01T00:00:00.000Z',
};

describe('platform file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-platform-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('reads back what was written and leaves no temporary file', async () => {
    await writePlatformFile(folder, content);
    expect(await readPlatformFile(folder)).toEqual(content);
    expect(await readdir(folder)).toEqual(['platform.json']);
  });

  it('finds the folder of the certificates beside itself, wherever both were copied to', async () => {
    await writePlatformFile(folder, { ...content, tlsDir: '.' });
    expect((await readPlatformFile(folder))?.tlsDir).toBe(folder);
  });

  it('tells that there is none', async () => {
    expect(await readPlatformFile(join(folder, 'nowhere'))).toBeUndefined();
  });

  it('refuses a file that is not one', async () => {
    await writeFile(platformFilePath(folder), '{"host":1}');
    await expect(readPlatformFile(folder)).rejects.toMatchObject({ code: 'configuration_invalid' });
  });

  it('is removed by the process that wrote it only', async () => {
    await writePlatformFile(folder, content);
    await removePlatformFile(folder, 1);
    expect(await readPlatformFile(folder)).toEqual(content);
    await removePlatformFile(folder, 4711);
    expect(await readPlatformFile(folder)).toBeUndefined();
  });
});
