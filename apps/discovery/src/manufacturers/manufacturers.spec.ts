import { discovery } from '@mqtt2go/messaging';
import { Authority, certificateFingerprint, generateKeys } from '@mqtt2go/pki';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DiscoveryStand } from '../testing/discovery-stand.js';

describe('registering manufacturers', () => {
  let stand: DiscoveryStand;

  beforeAll(async () => {
    stand = await DiscoveryStand.create();
  });
  afterAll(() => stand.close());

  const register = (certificate: string, name = 'A maker') =>
    stand.bus.call(discovery.registerManufacturer, { name, certificate }, { retries: 0 });
  const authority = async (nowMs: number, validityMs: number) =>
    Authority.createRoot({ commonName: 'maker', keys: await generateKeys(), nowMs, validityMs }).certificate;

  it('trusts nobody at first', () => {
    expect(stand.admin.trustAnchors).toEqual([]);
  });

  it('trusts a CA at once, once, and after a restart', async () => {
    const { certificate } = stand.identities.manufacturer;
    const first = await register(certificate);
    expect(first).toEqual({ fingerprint: certificateFingerprint(certificate) });
    expect(stand.admin.trustAnchors).toEqual([certificate]);
    expect(await register(certificate, 'A new name')).toEqual(first);
    expect(stand.admin.trustAnchors).toEqual([certificate]);
    await stand.restart();
    await waitFor(() => stand.admin.trustAnchors.length === 1);
    await stand.admin.loseCopy();
    expect(stand.admin.trustAnchors).toEqual([certificate]);
  });

  it('trusts all of several that register at once', async () => {
    const more = await Promise.all(Array.from({ length: 5 }, () => authority(Date.now(), 86_400_000)));
    await Promise.all(more.map((certificate) => register(certificate)));
    expect(stand.admin.trustAnchors).toEqual(expect.arrayContaining(more));
    expect(stand.admin.trustAnchors).toHaveLength(6);
  });

  it('refuses what is no CA’s certificate, not valid, or none at all', async () => {
    const before = stand.admin.trustAnchors;
    const bad = [
      stand.identities.device('lamp-1').cert,
      stand.identities.server().cert,
      await authority(Date.now() - 10 * 86_400_000, 86_400_000),
      await authority(Date.now() + 10 * 86_400_000, 86_400_000),
      'no PEM',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      stand.identities.manufacturer.certificate + stand.identities.root.certificate,
      stand.identities.device('lamp-1').key,
    ];
    for (const certificate of bad) {
      await expect(register(certificate)).rejects.toMatchObject({ code: 'malformed_message' });
    }
    expect(stand.admin.trustAnchors).toEqual(before);
  });
});
