import { describe } from 'vitest';
import {
  administrator,
  type Attempt,
  check,
  forNobody,
  guest,
  homeOfOthers,
  joining,
  member,
  plug,
  service,
} from './test-support/attempts.js';

describe('on the home broker', () => {
  check(
    'a device of a home that has moved',
    { ...plug, hasMoved: true },
    'home',
    [
      ['all', 'plug-1/topics'],
      ['all', 'plug-1/topic'],
      // What was kept for it.
      ['receive', 'home-1/gw-1/kitchen/socket/plug-1'],
    ],
    [
      ...forNobody,
      ...homeOfOthers,
      ['all', 'plug-2/topics'],
      ['publish', 'home-1/gw-1/kitchen/socket/plug-1'],
      ['subscribe', 'home-1/gw-1/kitchen/socket/plug-1'],
      ['subscribe', 'home-1/gw-1/+/socket/plug-1'],
    ],
  );

  check(
    'an administrator of a home that has moved',
    { ...administrator, hasMoved: true },
    'home',
    [['all', 'home-1/gw-1/add_device']],
    [
      ...forNobody,
      ...homeOfOthers,
      ['all', 'home-1/gw-1'],
      ['all', 'home-1/gw-1/kitchen'],
      ['all', 'home-1/gw-1/kitchen/socket/plug-1'],
      ['subscribe', 'home-1/#'],
      ['subscribe', 'home-1/gw-1/#'],
      ['subscribe', 'home-1/gw-1/+'],
    ],
  );

  check(
    'a device',
    plug,
    'home',
    [
      ['all', 'plug-1/topics'],
      ['all', '/plug-1/topics'],
      ['all', 'plug-1/topic'],
      ['all', 'home-1/gw-1/kitchen/socket/plug-1'],
      ['all', 'home-1/gw-1/hall/socket/plug-1'],
      ['all', '/home-1/gw-1/hall/socket/plug-1'],
      // Whatever groups it is put in, now or later: all of these end in its id.
      ['all', 'home-1/gw-1/attic/socket/plug-1'],
      ['subscribe', 'home-1/gw-1/+/socket/plug-1'],
      ['subscribe', '/home-1/gw-1/+/socket/plug-1'],
    ],
    [
      ...forNobody,
      ...homeOfOthers,
      ['all', 'plug-2/topics'],
      ['all', 'plug-1/topics/more'],
      ['all', 'plug-1'],
      ['subscribe', 'plug-1/#'],
      ['subscribe', 'plug-1/+'],
      ['subscribe', 'plug-1/topics/#'],
      ['subscribe', 'home-1/+/+/socket/plug-1'],
      ['subscribe', 'home-1/gw-1/+/+/plug-1'],
      ['subscribe', 'home-1/gw-1/+/socket/+'],
      ['subscribe', '+/gw-1/+/socket/plug-1'],
      ['all', 'home-1/gw-2/kitchen/socket/plug-1'],
      ['all', 'home-1/gw-1/kitchen/camera/plug-1'],
      ['all', 'home-1/gw-1/kitchen/socket/plug-2'],
      ['all', 'home-1/gw-1/kitchen/socket/plug-11'],
      ['all', 'home-1/gw-1/kitchen/socket/plug-'],
      ['all', 'home-1/gw-1/socket/plug-1'],
      ['all', 'home-1/gw-1/a/b/socket/plug-1'],
      ['all', 'home-1/gw-1/kitchen/socket'],
      ['subscribe', 'home-1/gw-1/kitchen/socket/+'],
      ['subscribe', 'home-1/gw-1/kitchen/socket/#'],
      ['subscribe', 'home-1/gw-1/kitchen/socket/plug-1/#'],
      ['subscribe', 'home-1/#'],
      ['all', 'home-1/gw-1/add_device'],
      ['all', 'home-1/users'],
      ['all', 'home-1/gw-1'],
      ['publish', 'plug-1/+'],
      ['all', '%u/topics'],
      ['all', '%c/topics'],
      ['all', 'home-1/gw-1/kitchen/socket/%u'],
      ['publish', 'home-1/gw-1/kitchen/socket/plug-1\0'],
      ['subscribe', 'plug-1/topics\0'],
    ],
  );

  check(
    'a device that is called like a service',
    { ...plug, id: 'provisioning' },
    'home',
    [],
    [...forNobody, ...homeOfOthers, ['all', 'provisioning/topics'], ['all', 'home-1/gw-1/kitchen/socket/provisioning']],
  );

  check(
    'the bridge of a home’s gateway',
    { ...administrator, id: 'bridge.0a@home-1', role: 'bridge' },
    'home',
    [
      ['subscribe', 'home-1/#'],
      ['subscribe', '/home-1/#'],
      ['all', 'home-1/users'],
      ['all', 'home-1/gw-1'],
      ['all', 'home-1/gw-1/add_device'],
      ['all', 'home-1/gw-1/kitchen'],
      ['all', 'home-1/gw-1/kitchen/doorlock/lock-1'],
      ['all', '/home-1/gw-2/kitchen/socket/plug-1'],
    ],
    [
      ...forNobody,
      ...homeOfOthers,
      ['all', 'plug-1/topics'],
      ['all', 'plug-1/topic'],
      ['all', 'home-1/topics'],
      ['all', 'phone-1/topics'],
      ['all', 'CODE/activation'],
      ['all', 'CODE/wifi'],
      ['publish', 'home-1/gw-1/kitchen/socket/plug-1/more'],
    ],
  );

  check(
    'an administrator',
    administrator,
    'home',
    [
      ['all', 'home-1/gw-1/add_device'],
      ['all', '/home-1/gw-1/add_device'],
      ['all', 'home-1/gw-2/add_device'],
      ['all', 'home-1/users'],
      ['all', 'home-1/gw-1'],
      ['all', 'home-1/gw-1/kitchen'],
      ['all', 'home-1/gw-1/kitchen/camera/cam-1'],
      ['subscribe', 'home-1/#'],
      ['subscribe', '/home-1/#'],
      ['subscribe', 'home-1/+/+/+/+'],
      ['subscribe', 'home-1/+/add_device'],
      ['subscribe', 'home-1/gw-1/#'],
      ['subscribe', '/home-1/gw-1/#'],
    ],
    [
      ...forNobody,
      ...homeOfOthers,
      ['all', 'plug-1/topics'],
      ['all', 'phone-2/topics'],
      // No topics of the standard, however deep in the home.
      ['all', 'home-1'],
      ['all', 'home-1/gw-1/kitchen/camera'],
      ['all', 'home-1/gw-1/kitchen/camera/cam-1/more'],
      ['subscribe', 'home-1/gw-2/#'],
      ['subscribe', 'home-1/+/#'],
      ['all', 'home-1/gw-1/kit\u0007chen'],
      ['all', 'home-1/gw-1/\ufffe'],
      ['all', 'home-1/gw-1/\ud800'],
      ['all', `home-1/gw-1${'/'.repeat(60_000)}`],
      // What it would be if a device were called as the home is.
      ['publish', 'home-1/topics'],
      ['receive', 'home-1/topics'],
      ['subscribe', 'home-1/topics'],
      ['receive', '/home-1/topic'],
    ],
  );

  check(
    'a family member',
    member,
    'home',
    [
      ['all', 'home-1/gw-1/kitchen/camera/cam-1'],
      ['all', '/home-1/gw-1/kitchen/light/lamp-1'],
      ['subscribe', 'home-1/+/+/+/+'],
      ['subscribe', 'home-1/gw-1/kitchen/+/+'],
    ],
    [
      ...forNobody,
      ...homeOfOthers,
      ['all', 'home-1/gw-1/add_device'],
      ['all', '/home-1/gw-1/add_device'],
      ['all', 'home-1/gw-2/add_device'],
      ['all', 'home-1/users'],
      ['all', 'home-1/gw-1'],
      ['all', 'home-1/gw-1/kitchen'],
      ['subscribe', 'home-1/#'],
      ['subscribe', 'home-1/gw-1/#'],
      ['subscribe', 'home-1/+/+'],
      ['subscribe', 'home-1/+/+/+/#'],
    ],
  );

  check(
    'a guest',
    guest,
    'home',
    [
      ['all', 'home-1/gw-1/kitchen/light/lamp-1'],
      ['all', '/home-1/gw-1/kitchen/light/lamp-1'],
      ['subscribe', 'home-1/gw-1/+/light/+'],
      ['subscribe', '/home-1/gw-1/+/light/+'],
      // These two deliver lights and the like only: see `receive` below.
      ['subscribe', 'home-1/+/+/+/+'],
      ['subscribe', '/home-1/+/+/+/+'],
      ['subscribe', 'home-1/gw-1/+/+/+'],
      ['subscribe', '/home-1/gw-1/+/+/+'],
    ],
    [
      ...forNobody,
      ...homeOfOthers,
      ...['alarm', 'doorlock', 'camera', 'doorbell', 'garage_door', 'door', 'motion', 'smoke', 'flood'].map(
        (type): Attempt => ['all', `home-1/gw-1/hall/${type}/thing-1`],
      ),
      ['all', '/home-1/gw-1/hall/doorlock/lock-1'],
      ['all', 'home-1/gw-1/hall/doorlock_2030/lock-1'],
      ['subscribe', 'home-1/+/+/camera/+'],
      // Granted as they stand only, and none of the filters inside of them.
      ['subscribe', 'home-1/gw-2/+/+/+'],
      ['subscribe', 'home-1/gw-1/kitchen/+/+'],
      ['subscribe', 'home-1/+/+/+/cam-1'],
      ['subscribe', '/home-1/+/+/camera/+'],
      ['all', 'home-1/gw-1/add_device'],
      ['all', 'home-1/users'],
      ['all', 'home-1/gw-1/kitchen'],
      ['subscribe', 'home-1/#'],
      ['subscribe', 'home-1/+/+/+/#'],
    ],
  );

  check('an activation', joining, 'home', [], [...forNobody, ['all', 'CODE/activation'], ['all', 'plug-1/topics']]);

  check(
    'provisioning',
    service('provisioning'),
    'home',
    [
      ['subscribe', '+/+/add_device'],
      ['subscribe', '/+/+/add_device'],
      ['subscribe', '+/topics'],
      ['subscribe', '/+/topics'],
      ['subscribe', '+/topic'],
      ['subscribe', '/+/topic'],
      ['publish', 'home-1/gw-1/add_device'],
      ['publish', '/home-1/gw-1/add_device'],
      ['publish', 'plug-1/topics'],
      ['receive', '/plug-1/topic'],
    ],
    [
      ['all', '$CONTROL/mqtt2go-access/v1'],
      ['publish', '$CONTROL/topics'],
      ['receive', '$SYS/topics'],
      ['subscribe', '#'],
      ['all', 'home-1/gw-1/kitchen/socket/plug-1'],
      ['all', 'home-1/users'],
      ['all', 'CODE/activation'],
    ],
  );

  check(
    'topic-generator',
    service('topic-generator'),
    'home',
    [
      ['publish', '$CONTROL/mqtt2go-access/v1'],
      ['subscribe', '$CONTROL/mqtt2go-access/v1/response'],
      ['receive', '$CONTROL/mqtt2go-access/v1/response'],
    ],
    [
      ['subscribe', '$CONTROL/mqtt2go-access/v1'],
      ['publish', '$CONTROL/mqtt2go-access/v1/response'],
      ['subscribe', '$CONTROL/#'],
      ['all', 'plug-1/topics'],
      ['all', 'home-1/gw-1/add_device'],
    ],
  );

  for (const name of ['discovery', 'certificate-authority', 'operator'] as const) {
    check(name, service(name), 'home', [], [...forNobody, ['all', 'plug-1/topics'], ['all', 'home-1/gw-1/add_device']]);
  }
});
