import { certificateAuthority, moving } from '@mqtt2go/messaging';
import { Authority, createCertificateRequest, generateKeys, type KeyPair } from '@mqtt2go/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuthorityStand, newDevice } from '../../test/authority-stand.js';

let stand: AuthorityStand;

beforeAll(async () => {
  stand = await AuthorityStand.start();
});
afterAll(() => stand.stop());

/** The CA for devices of a gateway that was enrolled here. */
async function gatewayAuthority(homeId: string): Promise<Authority> {
  const request = (keys: KeyPair): string => createCertificateRequest({ deviceId: 'gateway', keys });
  const [issuing, server, identity] = [await generateKeys(), await generateKeys(), await generateKeys()];
  const requests = { issuing: request(issuing), server: request(server), identity: request(identity) };
  const answer = await stand.call(certificateAuthority.signGateway, { homeId, gatewayId: 'gw', requests });
  return new Authority(answer.issuing, issuing.privateKey);
}

async function bring(homeId: string, authority: Authority, revokedAt: string | null = null): Promise<string> {
  const { deviceId } = await newDevice();
  const { publicKey } = await generateKeys();
  const { der, serialNumber } = authority.issueDevice({ deviceId, publicKey, nowMs: stand.clock.now() });
  const record = {
    serialNumber,
    deviceId,
    certificate: Buffer.from(der).toString('base64'),
    issuerChain: authority.chain.join(''),
    openOnboarding: null,
    renewedFrom: null,
    revokedAt,
    revocationReason: revokedAt === null ? null : ('superseded' as const),
  };
  await stand.call(moving.importCertificates, { homeId, records: [record] });
  return deviceId;
}

const countOf = async (homeId: string): Promise<number> =>
  (await stand.call(moving.countGatewayDevices, { homeId })).devices;

describe('the devices of a home that have a certificate of its gateway', () => {
  it('are counted, and neither another home’s, nor the platform’s own, nor what was revoked or has ended', async () => {
    const [one, other] = [await gatewayAuthority('home-1'), await gatewayAuthority('home-2')];
    await bring('home-1', one);
    await bring('home-1', await gatewayAuthority('home-1'));
    await bring('home-2', other);
    await bring('home-1', one, '2026-01-01T00:00:00.000Z');
    const { deviceId, publicKey } = await newDevice();
    await stand.issue({ deviceId, keyMode: 'existing-key', publicKey });
    expect(await countOf('home-1')).toBe(2);
    expect(await countOf('home-2')).toBe(1);
    expect(await countOf('home-3')).toBe(0);
    stand.clock.advance(3 * 365 * 24 * 3_600_000);
    expect(await countOf('home-1')).toBe(0);
  });
});
