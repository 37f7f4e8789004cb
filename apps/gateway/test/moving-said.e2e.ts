import { type Bus, certificateAuthority, moving } from '@mqtt2go/messaging';
import { Authority, createCertificateRequest, generateKeys, type KeyPair } from '@mqtt2go/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { standingAt } from './support/gateway-pair.js';
import { createManufacturer, World } from './support/world.js';

describe('what is said of homes that move', () => {
  const homeId = 'home-1';
  const moveId = '00000000-0000-4000-8000-000000000001';
  const once = { retries: 0 };
  let world: World;
  let bus: Bus;
  beforeAll(async () => {
    world = await World.create();
    bus = await world.service('federation');
  });
  afterAll(async () => {
    await bus.close();
    await world.close();
  });

  it('is not heeded when it comes late, of a move that was undone', async () => {
    const step = (name: 'receive' | 'prepare' | 'discard') =>
      bus.call(moving.moveHomeAccess, { homeId, moveId, step: name });
    expect(await step('receive')).toStrictEqual({ standing: 'arriving' });
    expect(await step('discard')).toStrictEqual({});
    await expect(bus.call(moving.moveHomeAccess, { homeId, moveId, step: 'receive' }, once)).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(
      bus.call(moving.importHomeStructure, { homeId, moveId, structure: { gatewayIds: ['gw'], groupIds: [] } }, once),
    ).rejects.toMatchObject({ code: 'conflict' });
    expect(await standingAt(world, homeId)).toBeUndefined();
  });

  it('is not given away of a home that is not in a move', async () => {
    await world.app('home-2', 'gw');
    const page = { homeId: 'home-2', moveId, after: '' };
    const answers = await Promise.allSettled([
      bus.call(moving.exportHomeDevices, page, once),
      bus.call(moving.exportHomeControllers, page, once),
      bus.call(moving.exportHomeOnboardings, page, once),
      bus.call(moving.exportFactoryRecords, page, once),
    ]);
    for (const answer of answers) expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'conflict' } });
    const asOperator = world.operator.call(
      moving.exportHomeControllers,
      { homeId: 'home-2', moveId, after: '' },
      {
        ...once,
        timeoutMs: 1_000,
      },
    );
    await expect(asOperator).rejects.toMatchObject({ code: expect.stringMatching(/forbidden|timeout|unavailable/) });
  });

  it('brings no certificates of strangers, nor of a gateway of another home', async () => {
    const keys = await generateKeys();
    const issue = (authority: Authority) => {
      const nowMs = Date.now();
      const { der, serialNumber } = authority.issueDevice({ deviceId: 'lamp', publicKey: keys.publicKey, nowMs });
      return {
        serialNumber,
        deviceId: 'lamp',
        certificate: Buffer.from(der).toString('base64'),
        issuerChain: authority.certificate,
        renewedFrom: null,
        revokedAt: null,
        revocationReason: null,
      };
    };
    const stranger = issue(await createManufacturer('Strangers'));
    await expect(bus.call(moving.importCertificates, { homeId, records: [stranger] }, once)).rejects.toMatchObject({
      code: 'certificate_not_accepted',
    });
    await expect(
      bus.call(moving.importCertificates, { homeId, records: [{ ...stranger, deviceId: 'another' }] }, once),
    ).rejects.toMatchObject({ code: 'certificate_not_accepted' });

    const issuing = await generateKeys();
    const { issuing: signed } = await bus.call(certificateAuthority.signGateway, {
      homeId: 'home-2',
      gatewayId: 'gw',
      requests: await gatewayRequestsOf(issuing),
    });
    const ofAnotherHome = issue(new Authority(signed, issuing.privateKey, []));
    await expect(bus.call(moving.importCertificates, { homeId, records: [ofAnotherHome] }, once)).rejects.toMatchObject(
      { code: 'certificate_not_accepted', message: expect.stringContaining('another home') },
    );
    await expect(
      bus.call(moving.importCertificates, { homeId: 'home-2', records: [ofAnotherHome] }, once),
    ).resolves.toStrictEqual({});
  });
});

/** What a gateway asks the cloud's certificate authority for. */
async function gatewayRequestsOf(issuing: KeyPair) {
  const request = async (keys: KeyPair) => createCertificateRequest({ deviceId: 'gateway', keys });
  return {
    issuing: await request(issuing),
    server: await request(await generateKeys()),
    identity: await request(await generateKeys()),
  };
}
