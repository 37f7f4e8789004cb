import { describe, expect, it } from 'vitest';
import type { ListedClient } from '../control/commands.js';
import { activation, controller, device } from '../test-support/principals.js';
import { fingerprintOf, relate } from './compare.js';
import { describeEntry, type Entry, entriesOf, readExpiry } from './entry.js';

function entry(...args: Parameters<typeof entriesOf>): Entry {
  const [made] = entriesOf(...args);
  if (made === undefined) throw new Error('held by nobody');
  return made;
}

/** As the plugin tells of it. */
const listed = (one: Entry, change: Partial<ListedClient> = {}): string =>
  fingerprintOf({
    username: one.username,
    ...(one.clientid !== undefined && { clientid: one.clientid }),
    textdescription: describeEntry(one),
    disabled: false,
    roles: one.roles.map(({ rolename }) => ({ rolename })),
    groups: [],
    ...change,
  });

describe('what the broker holds', () => {
  const plug = entry(device('plug'), 'home', 0);

  it('is the same', async () => {
    for (const one of [
      plug,
      entry(await controller('phone'), 'home', 0),
      entry(activation('lamp', 'C'), 'activation', 0),
    ]) {
      expect(relate(listed(one), one)).toBe('same');
    }
  });

  it('has grown where a certificate was added, and is different where one was taken away', () => {
    const both = entry(device('plug', { certificateSerials: ['0A02', '0A01'] }), 'home', 0);
    expect(relate(listed(plug), both)).toBe('grown');
    expect(relate(listed(plug), both, ['0A01', '0A02'])).toBe('same');
    expect(relate(listed(plug), plug, ['0A01', '0A02'])).toBe('different');
    expect(relate(listed(both), plug)).toBe('different');
  });

  it('is different by home, password, code, and whatever somebody else has done to it', async () => {
    expect(relate(listed(plug), entry(device('plug', { homeId: 'home-2' }), 'home', 0))).toBe('different');
    const phone = entry(await controller('phone'), 'home', 0);
    expect(relate(listed(phone), entry(await controller('phone'), 'home', 0))).toBe('different');
    const lamp = entry(activation('lamp', 'C'), 'activation', 0);
    expect(relate(listed(lamp), entry(activation('lamp', 'D'), 'activation', 0))).toBe('different');
    for (const change of [
      { disabled: true },
      { groups: [{}] },
      { roles: [] },
      { clientid: 'x' },
      { textdescription: '' },
    ]) {
      expect(relate(listed(plug, change), plug)).toBe('different');
    }
  });

  it('tells when an activation ends', () => {
    const lamp = entry({ kind: 'activation', id: 'lamp', activationCode: 'C', expiresAtMs: 1_234 }, 'activation', 0);
    expect(readExpiry(describeEntry(lamp))).toBe(1_234);
    expect(readExpiry(describeEntry(plug))).toBeUndefined();
  });
});
