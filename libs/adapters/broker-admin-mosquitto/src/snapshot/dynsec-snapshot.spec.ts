import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { listedClient, listedRole } from '../control/commands.js';
import { activation, controller, device } from '../test-support/principals.js';
import { dynsecSnapshot } from './dynsec-snapshot.js';

const snapshot = z.strictObject({
  defaultACLAccess: z.record(z.string(), z.boolean()),
  clients: z.array(listedClient.extend({ encoded_password: z.string().optional() })),
  groups: z.array(z.unknown()),
  roles: z.array(listedRole),
});

const read = async (...args: Parameters<typeof dynsecSnapshot>) =>
  snapshot.parse(JSON.parse(await dynsecSnapshot(...args)));

describe('dynsecSnapshot', () => {
  it('denies what nobody has been given', async () => {
    const { defaultACLAccess, clients } = await read([], 'home');
    expect(defaultACLAccess).toEqual({
      publishClientSend: false,
      publishClientReceive: false,
      subscribe: false,
      unsubscribe: true,
    });
    expect(clients).toEqual([]);
  });

  it('has devices share the roles of their kind, which say `%u` for their id', async () => {
    const { clients, roles } = await read([device('a'), device('b'), device('c', { deviceType: 'light' })], 'home');
    expect(roles.map(({ rolename }) => rolename)).toEqual([
      'mqtt2go',
      'device',
      'device/home-1/gw-1/socket',
      'device/home-1/gw-1/light',
    ]);
    const topics = (rolename: string) =>
      new Set(roles.find((role) => role.rolename === rolename)?.acls.map(({ topic }) => topic));
    expect(topics('device')).toEqual(new Set(['%u/topics', '/%u/topics', '%u/topic', '/%u/topic']));
    expect(topics('device/home-1/gw-1/light')).toEqual(new Set(['home-1/gw-1/+/light/%u', '/home-1/gw-1/+/light/%u']));
    const names = clients.map(({ username, clientid, textdescription }) => [username, clientid, textdescription]);
    expect(names).toEqual([
      ['c', 'c', 'device 0A01'],
      ['b', 'b', 'device 0A01'],
      ['a', 'a', 'device 0A01'],
    ]);
  });

  it('keeps a home’s role right for a device that is called as the home is', async () => {
    const { roles } = await read([device('home-1'), device('gw-1'), device('socket')], 'home');
    const role = roles.find(({ rolename }) => rolename === 'device/home-1/gw-1/socket');
    expect(role?.acls.map(({ topic }) => topic)).toContain('home-1/gw-1/+/socket/%u');
  });

  it('has a controller’s password as a hash, and never as it is', async () => {
    const phone = await controller('phone', { secret: 'very secret' });
    const text = await dynsecSnapshot([phone], 'home');
    expect(text).not.toContain('very secret');
    expect(text).toContain(`"encoded_password":"$7$1000$${phone.password.salt}$${phone.password.hash}"`);
    const other = { ...phone, password: { ...phone.password, salt: 'AQEBAQEBAQEBAQEBAQEBAQ==' } };
    expect((await read([other], 'home')).clients).toEqual([]);
  });

  it('leaves out whom the broker is not to hold', async () => {
    const home = [
      device('none', { certificateSerials: [] }),
      device('+'),
      await controller('phone', { id: 'plug-1' }),
      activation('lamp', 'CODE'),
      { kind: 'service', id: 'provisioning' } as const,
    ];
    expect((await read(home, 'home')).clients).toEqual([]);
    const waiting = [activation('lamp', 'CODE'), activation('late', 'CODE2', -1), device('plug-1')];
    const { clients, roles } = await read(waiting, 'activation');
    expect(clients.map(({ username }) => username)).toEqual(['lamp']);
    expect(roles.map(({ rolename }) => rolename)).toEqual(['mqtt2go', 'activation/lamp']);
  });
});
