import { waitForEvent, Certificates, subscribes } from '@mqtt2go/testing';
import { EventEmitter } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Command } from './control/commands.js';
import { controlTopic } from './control/commands.js';
import type { Drift } from './rebuild/replacement.js';
import { MosquittoStage } from './test-support/mosquitto-stage.js';
import { controller, device } from './test-support/principals.js';

let certificates: Certificates;
let stage: MosquittoStage;

beforeAll(async () => {
  certificates = await Certificates.create();
  stage = await MosquittoStage.start(certificates, 'home');
});
afterAll(() => stage.close());

it('finds what somebody else has changed in the copy, and repairs it', async () => {
  const everybody = [device('plug-1'), device('plug-2'), device('plug-3'), await controller('phone')];
  const events = new EventEmitter();
  const admin = stage.admin({ auditIntervalMs: 200, onDrift: (drift) => events.emit('drift', drift) });
  admin.onCopyLost(async () => {
    await admin.replaceAll(everybody);
    events.emit('replaced');
  });
  await waitForEvent(events, 'replaced');
  const stays = await stage.connect(await certificates.device('plug-1', '0A01'));
  const drifted = waitForEvent<[Drift]>(events, 'drift');
  const commands: Command[] = [
    { command: 'deleteClient', username: 'plug-2' },
    { command: 'deleteClient', username: 'plug-3' },
    { command: 'createClient', username: 'plug-3', textdescription: 'device 0A01', roles: [] },
    { command: 'createClient', username: 'intruder', textdescription: '', roles: [{ rolename: 'device' }] },
    {
      command: 'modifyRole',
      rolename: 'controller/home-1/gw-1/administrator',
      acls: [{ acltype: 'publishClientSend', topic: '#', priority: 0, allow: true }],
    },
  ];
  const service = await stage.connectService('topic-generator');
  await service.publishAsync(controlTopic, JSON.stringify({ commands }), { qos: 1 });
  expect(await drifted).toEqual([{ missing: 1, different: 2, extra: 1 }]);
  for (const id of ['plug-2', 'plug-3']) {
    const client = await stage.connect(await certificates.device(id, '0A01'));
    expect(await subscribes(client, `home-1/gw-1/kitchen/socket/${id}`)).toBe(true);
    await client.endAsync();
  }
  const intruder = await stage.connect(await certificates.device('intruder', '0A01'));
  expect(await subscribes(intruder, 'intruder/topics')).toBe(false);
  expect(await subscribes(stays, 'plug-1/topics')).toBe(true);
  await admin.close();
});

it('lets several processes write at once', async () => {
  const admins = [stage.admin(), stage.admin(), stage.admin()];
  const devices = Array.from({ length: 60 }, (_one, index) => device(`many-${index}`));
  await Promise.all(admins.map((admin) => admin.put(devices)));
  await Promise.all(admins.map((admin) => admin.replaceAll(devices)));
  const client = await stage.connect(await certificates.device('many-59', '0A01'));
  expect(await subscribes(client, 'many-59/topics')).toBe(true);
  await Promise.all(admins.map((admin) => admin.remove([{ kind: 'device', id: 'many-58' }])));
  await Promise.all(admins.map((admin) => admin.put(devices.slice(0, 10))));
  expect(await subscribes(client, 'home-1/gw-1/hall/socket/many-59')).toBe(true);
});
