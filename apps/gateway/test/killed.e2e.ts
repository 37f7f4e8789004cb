import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { KillableGateway, statesToStopAt } from './support/killable-gateway.js';

describe('kill -9 of the gateway', () => {
  let gateway: KillableGateway;

  beforeAll(async () => {
    gateway = await KillableGateway.create();
  });
  afterEach(() => gateway.stop());
  afterAll(() => gateway.close());

  const cases = [
    ...statesToStopAt.map((state) => ['existing-key', state] as const),
    ['csr', 'announced'] as const,
    ['csr', 'claimed'] as const,
    ['server-key', 'certified'] as const,
    ['server-key', 'claimed'] as const,
  ];
  it.each(cases)(
    'in the key mode %s, at the stored state %s: the device is added all the same',
    async (keyMode, state) => {
      const homeId = `home-${keyMode}-${state}`;
      const { ended } = await gateway.start(state);
      const made = await gateway.mint({ deviceId: `device-${keyMode}-${state}`, keyMode });
      const home = await gateway.open(homeId);
      const adding = await gateway.add(home, made, Number(gateway.ports.MQTT2GO_ACTIVATION_PORT), {}, keyMode);
      try {
        expect(await ended).toBe('SIGKILL');
        await gateway.start();
        await adding.added;
        expect(await adding.isActive).toEqual([`${homeId}/gw/living/${made.type}/${made.deviceId}`]);
      } finally {
        await adding.close();
      }
    },
  );
});
