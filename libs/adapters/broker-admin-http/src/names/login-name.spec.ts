import { describe, expect, it } from 'vitest';
import { ownsClientId, readLoginName } from './login-name.js';

describe('a login name', () => {
  it('tells what came by a certificate, and which', () => {
    expect(readLoginName('urn:mqtt2go:device:plug.1:00AB')).toEqual({
      kind: 'device',
      id: 'plug.1',
      serialNumber: 'AB',
    });
    expect(readLoginName('urn:mqtt2go:service:provisioning:4F')).toEqual({ kind: 'service', id: 'provisioning' });
    expect(readLoginName('phone-1@home-1')).toEqual({ kind: 'controller', id: 'phone-1@home-1' });
  });

  it.each([
    '',
    'urn:mqtt2go:device:plug-1',
    'urn:mqtt2go:service:broker:4F',
    'urn:mqtt2go:device:plug/1:4F',
    'urn:mqtt2go:device:plug-1:4F:4F',
    'URN:mqtt2go:device:plug-1:4F',
    'phone 1@home-1',
    'phone@home\n',
    'x'.repeat(130),
  ])('is nobody’s: %j', (name) => {
    expect(readLoginName(name)).toBeUndefined();
  });
});

describe('a client id', () => {
  const owners = [
    'urn:mqtt2go:device:plug-1:4F',
    'urn:mqtt2go:device:service:4F',
    'phone@home-1',
    'phone@home-1-x',
    'plug-1',
  ];
  const services = ['urn:mqtt2go:service:provisioning:4F', 'urn:mqtt2go:service:discovery:4F'];

  it.each([
    ['plug-1', [owners[0]]],
    ['phone@home-1', [owners[2]]],
    ['phone@home-1/app', [owners[2]]],
    ['phone@home-1-x', [owners[3]]],
    ['plug-1/app', [owners[4]]],
    ['service:provisioning', [services[0]]],
    ['service:provisioning-devices', [services[0]]],
    ['service:discovery-x', [services[1]]],
    ['service:provisioning2', []],
    ['plug-2', []],
    ['plug-1\n', []],
    ['', []],
  ])('%j is of %j and of nobody else', (clientId, expected) => {
    const mayUse = [...owners, ...services].filter((name) => {
      const login = readLoginName(name);
      return login !== undefined && ownsClientId(login, clientId);
    });
    expect(mayUse).toEqual(expected);
  });
});
