import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { provisioning } from '@mqtt2go/messaging';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProvisioningStand } from '../testing/provisioning-stand.js';
import { ActivationCodes } from './activation-codes.js';

describe('the factory registry', () => {
  let stand: ProvisioningStand;
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicKeyPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();

  beforeAll(async () => {
    stand = await ProvisioningStand.create();
    await stand.start();
  });
  afterAll(() => stand.close());

  const rows = () => stand.query<Record<string, unknown>>('SELECT * FROM provisioning.factory_device');
  const importAll = (records: unknown[]) => stand.bus.call(provisioning.importFactoryRecords, { records });
  const record = (deviceId: string, more: object = {}): object => ({
    device_id: deviceId,
    activation_code: `CODE-${deviceId}`,
    device_type: 'socket',
    public_key: publicKeyPem,
    ...more,
  });

  it('takes a thousand records at once', async () => {
    const records = Array.from({ length: 1_000 }, (_, index) => record(`bulk-${index}`));
    expect(await importAll(records)).toEqual({ imported: 1_000, rejected: [] });
    expect(await rows()).toHaveLength(1_000);
  });

  it('names the bad ones and takes the others', async () => {
    const { imported, rejected } = await importAll([
      record('good-1'),
      { device_id: 'no-code', device_type: 'socket' },
      record('bad/id'),
      record('no-key', { public_key: undefined }),
      record('bad-key', { public_key: 'PEM' }),
      record('a-private-key', { public_key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----' }),
      record('bad-mode', { key_mode: 'none' }),
      record('topic-generator'),
      'a line',
      null,
      record('good-2', { key_mode: 'server-key', public_key: undefined }),
    ]);
    expect(imported).toBe(2);
    expect(rejected.map(({ index }) => index)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(rejected[2]?.reason).toContain('public_key is needed');
    expect(rejected[3]?.reason).toContain('PEM SubjectPublicKeyInfo');
    expect(rejected[6]?.reason).toContain('name of a service');
  });

  it('replaces a record; of two in one call the last counts', async () => {
    await importAll([record('twice', { device_type: 'light' }), record('twice', { device_type: 'oven' })]);
    expect((await rows()).find((row) => row['device_id'] === 'twice')).toMatchObject({ device_type: 'oven' });
    await importAll([record('twice', { device_type: 'door' })]);
    expect((await rows()).find((row) => row['device_id'] === 'twice')).toMatchObject({ device_type: 'door' });
  });

  it('does not keep activation codes', async () => {
    await importAll([record('secretive', { activation_code: 'SESAME' })]);
    expect(JSON.stringify(await rows())).not.toContain('SESAME');
  });

  it('recognises a code by a key of its own, for one device only', () => {
    const key = randomBytes(32);
    const codes = new ActivationCodes(key);
    const hash = codes.hash('device-1', 'CODE');
    expect(codes.matches(hash, 'device-1', 'CODE')).toBe(true);
    expect(codes.matches(hash, 'device-1', 'CODE2')).toBe(false);
    expect(codes.matches(hash, 'device-2', 'CODE')).toBe(false);
    expect(new ActivationCodes(randomBytes(32)).matches(hash, 'device-1', 'CODE')).toBe(false);
    expect(new ActivationCodes(key).matches(hash, 'device-1', 'CODE')).toBe(true);
  });
});
