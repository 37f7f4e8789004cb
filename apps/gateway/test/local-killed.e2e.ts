import { access, writeFile } from 'node:fs/promises';
import { BrokerFinder, type WifiCredentials } from '@mqtt2go/device-sdk';
import { provisioning } from '@mqtt2go/messaging';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { noDiscovery } from './support/device-store.js';
import { KillableGateway, statesToStopAt } from './support/killable-gateway.js';
import { AccessPoint } from './support/local-house.js';

describe('kill -9 of a gateway in the house', () => {
  let gateway: KillableGateway;
  let accessPoint: AccessPoint;

  beforeAll(async () => {
    accessPoint = await AccessPoint.create();
    gateway = await KillableGateway.create(accessPoint.env);
  });
  afterEach(() => gateway.stop());
  afterAll(async () => {
    await gateway.close();
    await accessPoint.close();
  });

  const isClosed = () => waitFor(async () => (await accessPoint.open()) === undefined, 'the end of the guest network');

  const cases = [
    ...statesToStopAt.map((state) => ['existing-key', state] as const),
    ['csr', 'claimed'] as const,
    ['server-key', 'claimed'] as const,
  ];
  it.each(cases)(
    'in the key mode %s, at the stored state %s: the device is added all the same, and its network is closed',
    async (keyMode, state) => {
      const homeId = `home-${keyMode}-${state}`;
      const { ended } = await gateway.start(state);
      const made = await gateway.mint({ deviceId: `device-${keyMode}-${state}`, keyMode });
      const home = await gateway.open(homeId);
      const told: WifiCredentials[] = [];
      const port = Number(gateway.ports.MQTT2GO_HOME_PORT);
      const finder = new BrokerFinder(async () => ({ host: 'localhost', port }));
      const options = { finder, joinWifi: (wifi: WifiCredentials) => void told.push(wifi) };
      const adding = await gateway.add(home, made, noDiscovery, options, keyMode);
      try {
        expect(await ended).toBe('SIGKILL');
        await gateway.start();
        await adding.added;
        expect(await adding.isActive).toEqual([`${homeId}/gw/living/${made.type}/${made.deviceId}`]);
        expect(told.length).toBeLessThanOrEqual(1);
        await isClosed();
      } finally {
        await adding.close();
      }
    },
  );

  it('what a killed gateway left open is closed at the next start, and opened again for the device that may still come', async () => {
    await gateway.start();
    const made = await gateway.mint({ deviceId: 'left-alone' });
    const adding = await gateway.add(await gateway.open('home-left'), made, noDiscovery);
    await waitFor(() => accessPoint.open(), 'the guest network');
    await gateway.kill();
    await adding.close();
    expect(await accessPoint.open()).toMatchObject({ passphrase: made.code });

    // Another's, as if the state of this one had been lost.
    await writeFile(
      accessPoint.file,
      JSON.stringify({ activationId: 'lost', method: 'guest', passphrase: 'other code' }),
    );
    await gateway.start();
    await waitFor(async () => (await accessPoint.open())?.passphrase === made.code, 'the network of the device');
    await gateway.asOperator((bus) => bus.call(provisioning.cancelOnboarding, { deviceId: made.deviceId }));
    await isClosed();
    await gateway.stop();
    await expect(access(accessPoint.file)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
