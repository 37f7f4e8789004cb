import { waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProvisioningStand } from '../testing/provisioning-stand.js';

describe('guessing activation codes', () => {
  let stand: ProvisioningStand;

  beforeAll(async () => {
    stand = await ProvisioningStand.create();
    await stand.start();
  });
  afterAll(() => stand.close());

  it('gets slow answers, and holds up neither the guessing controller nor the right home', async () => {
    const [target, other] = [await stand.mint(), await stand.mint()];
    const guessers = 'home-2/gw-1/add_device';
    const answers = (): number =>
      stand.heard.filter(({ topic, value }) => topic === guessers && JSON.stringify(value).includes('_wrong')).length;
    const from = stand.heard.length;
    for (let guess = 0; guess < 3; guess += 1) {
      await stand.activate({ deviceId: target.deviceId, activationCode: `GUESS-${guess}` }, { topic: guessers });
    }
    // On the same topic, behind the guesses, and done before the second of them is answered.
    await stand.activate(other, { topic: guessers });
    await stand.reach(other.deviceId, 'announced');
    expect(answers()).toBeLessThan(2);

    await stand.activate(target);
    await stand.reach(target.deviceId, 'announced');
    expect(stand.told(target.deviceId)).toEqual(['requested', 'certified', 'announced']);
    await waitFor(() => answers() === 3, 'the answers to the guesses');
    expect(await stand.refusal('activate_device', guessers, from)).toBe('activation_code_wrong');
    expect((await stand.onboarding(target.deviceId)).homeId).toBe('home-1');
  });

  it('refuses at once what comes faster than it can be looked at, and the right code works afterwards', async () => {
    const device = await stand.mint();
    const topic = 'home-1/gw-2/add_device';
    const from = stand.heard.length;
    const wrong = { ...device, activationCode: 'WRONG' };
    for (let guess = 0; guess < 12; guess += 1) await stand.activate(wrong, { topic });
    await stand.report(({ value }) => JSON.stringify(value).includes('too_many_attempts'), from);
    await stand.services.pop()?.stop();
    await stand.start();
    await stand.activate(device, { topic });
    await stand.reach(device.deviceId, 'announced');
  });
});
