import { describe } from 'vitest';
import { administrator, check, forNobody, joining, nowMs, plug, service } from './test-support/attempts.js';

describe('on the activation broker', () => {
  check(
    'a device that is being added',
    joining,
    'activation',
    [
      ['all', 'CODE/activation'],
      ['all', '/CODE/activation'],
      ['all', 'CODE/wifi'],
      ['all', '/CODE/wifi'],
    ],
    [
      ...forNobody,
      ['subscribe', '+/wifi'],
      ['all', 'CODE2/wifi'],
      ['all', 'CODE/wifi/more'],
      ['all', 'home-1/gw-1/add_device'],
      ['subscribe', 'home-1/#'],
      ['subscribe', '+/activation'],
      ['subscribe', '/+/activation'],
      ['subscribe', 'CODE/#'],
      ['subscribe', 'CODE/+'],
      ['all', 'CODE2/activation'],
      ['all', 'code/activation'],
      ['all', 'CODE'],
      ['all', 'CODE/activation/more'],
      ['all', 'plug-1/topics'],
    ],
  );
  check(
    'an activation that has ended',
    { ...joining, expiresAtMs: nowMs },
    'activation',
    [],
    [
      ['all', 'CODE/activation'],
      ['all', 'CODE/wifi'],
    ],
  );
  check(
    'a device of a home',
    plug,
    'activation',
    [],
    [...forNobody, ['all', 'plug-1/topics'], ['all', 'x/activation']],
  );
  check('a controller', administrator, 'activation', [], [...forNobody, ['all', 'home-1/gw-1/add_device']]);
  check(
    'discovery',
    service('discovery'),
    'activation',
    [
      ['subscribe', '+/activation'],
      ['subscribe', '/+/activation'],
      ['publish', 'CODE/activation'],
      ['subscribe', '+/wifi'],
      ['publish', 'CODE/wifi'],
      ['publish', '$CONTROL/mqtt2go-access/v1'],
      ['subscribe', '$CONTROL/mqtt2go-access/v1/response'],
    ],
    [
      ['all', 'plug-1/topics'],
      ['subscribe', '#'],
      ['publish', '$SYS/activation'],
    ],
  );
  for (const name of ['provisioning', 'topic-generator', 'certificate-authority', 'federation', 'operator'] as const) {
    check(name, service(name), 'activation', [], [...forNobody, ['all', 'CODE/activation']]);
  }
});
