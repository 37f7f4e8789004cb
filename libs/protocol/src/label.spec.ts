import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isKnownDeviceType,
  isUtilityDeviceType,
  deviceTypes,
  securityDeviceTypes,
  utilityDeviceTypes,
} from './device-types.js';
import { Mqtt2goError } from './errors.js';
import { deviceType } from './identifiers.js';
import { buildLabel, parseLabel } from './label.js';

const label = { deviceId: 'dev-1', activationCode: '1234-5678', deviceType: 'socket' };

describe('a label', () => {
  it('says device, code and type', () => {
    expect(buildLabel(label)).toBe('mqtt2go:dev-1?code=1234-5678&type=socket');
    expect(parseLabel('mqtt2go:dev-1?code=1234-5678&type=socket')).toEqual(label);
  });

  it('is read as it was built', () => {
    const id = fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/);
    const type = fc.stringMatching(/^[a-z0-9_]{1,64}$/);
    fc.assert(
      fc.property(fc.record({ deviceId: id, activationCode: id, deviceType: type }), (any) => {
        expect(parseLabel(buildLabel(any))).toEqual(any);
      }),
    );
  });

  it.each([
    '',
    'dev-1',
    'MQTT2GO:dev-1?code=1&type=socket',
    'mqtt2go:dev-1',
    'mqtt2go:dev-1?code=1',
    'mqtt2go:dev-1?type=socket&code=1',
    'mqtt2go:dev-1?code=1&type=socket&more=1',
    'mqtt2go://dev-1?code=1&type=socket&',
    ' mqtt2go:dev-1?code=1&type=socket',
    'mqtt2go:dev-1?code=1&type=socket\n',
  ])('is not %j', (content) => {
    expect(() => parseLabel(content)).toThrow(Mqtt2goError);
  });

  it.each([
    'mqtt2go:a/b?code=1&type=socket',
    'mqtt2go:?code=1&type=socket',
    'mqtt2go:a?code=%31&type=socket',
    'mqtt2go:a?code=1&type=So cket',
  ])('refuses the ids of %j', (content) => {
    expect(() => parseLabel(content)).toThrow(expect.objectContaining({ code: 'invalid_identifier' }));
  });

  it('is not built from what cannot be read', () => {
    expect(() => buildLabel({ ...label, deviceId: 'a?b' })).toThrow(
      expect.objectContaining({ code: 'invalid_identifier' }),
    );
    expect(() => buildLabel({ ...label, activationCode: '' })).toThrow(Mqtt2goError);
    expect(() => buildLabel({ ...label, deviceType: 'A' })).toThrow(Mqtt2goError);
  });

  it('reading throws nothing but a coded error', () => {
    fc.assert(
      fc.property(fc.string(), (tail) => {
        expect(() => parseLabel(`mqtt2go:${tail}`)).toThrow(Mqtt2goError);
      }),
    );
  });
});

describe('device types', () => {
  it('are utility or security, and a guest gets the former only', () => {
    expect(deviceTypes).toHaveLength(35);
    expect(new Set(deviceTypes).size).toBe(35);
    expect(utilityDeviceTypes.length + securityDeviceTypes.length).toBe(deviceTypes.length);
    expect(isUtilityDeviceType('socket')).toBe(true);
    for (const type of securityDeviceTypes) expect(isUtilityDeviceType(type)).toBe(false);
    for (const type of deviceTypes) expect(deviceType.safeParse(type).success).toBe(true);
  });

  it('that are not known may exist, but are not for guests', () => {
    expect(deviceType.safeParse('teleporter').success).toBe(true);
    expect(isKnownDeviceType('teleporter')).toBe(false);
    expect(isUtilityDeviceType('teleporter')).toBe(false);
    expect(isUtilityDeviceType('constructor')).toBe(false);
  });
});
