import { Certificates, nextMessage, subscribes } from '@mqtt2go/testing';
import type { BusRequest } from '@mqtt2go/access';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MosquittoStage } from './test-support/mosquitto-stage.js';

const contracts: readonly BusRequest[] = [
  { service: 'provisioning', verb: 'claim', callers: ['discovery'] },
  { service: 'certificate-authority', verb: 'issue', callers: ['provisioning'] },
];

let certificates: Certificates;
let stage: MosquittoStage;

beforeAll(async () => {
  certificates = await Certificates.create();
  stage = await MosquittoStage.start(certificates, 'bus', { contracts });
});
afterAll(() => stage.close());

it('carries requests to one of the replicas, and the answers back', async () => {
  const discovery = await stage.connectService('discovery');
  const replicas = await Promise.all(
    ['a', 'b'].map((name) => stage.connectService('provisioning', { clientId: `service ${name}` })),
  );
  let requests = 0;
  for (const replica of replicas) {
    expect(await subscribes(replica, '$share/provisioning/mqtt2go/provisioning/+')).toBe(true);
    replica.on('message', (topic, payload) => {
      requests += 1;
      replica.publish(`${topic}/reply`, payload, { qos: 1 });
    });
  }
  expect(await subscribes(discovery, 'mqtt2go/provisioning/claim/reply')).toBe(true);
  for (const request of ['one', 'two', 'three']) {
    const reply = nextMessage(discovery);
    await discovery.publishAsync('mqtt2go/provisioning/claim', request, { qos: 1 });
    expect(await reply).toBe(`mqtt2go/provisioning/claim/reply ${request}`);
  }
  expect(requests).toBe(3);
  for (const one of [discovery, ...replicas]) await one.endAsync();
});

it('carries no request of somebody who may not ask, and nothing to somebody who is not asked', async () => {
  const discovery = await stage.connectService('discovery');
  const provisioning = await stage.connectService('provisioning');
  const authority = await stage.connectService('certificate-authority');
  await subscribes(discovery, '#');
  await subscribes(authority, 'mqtt2go/certificate-authority/+');
  let overheard = 0;
  discovery.on('message', () => {
    overheard += 1;
  });
  const asked = nextMessage(authority);
  await discovery.publishAsync('mqtt2go/certificate-authority/issue', 'for myself', { qos: 1 });
  await provisioning.publishAsync('mqtt2go/certificate-authority/issue', 'for a device', { qos: 1 });
  expect(await asked).toBe('mqtt2go/certificate-authority/issue for a device');
  await discovery.publishAsync('mqtt2go/provisioning/claim', 'x', { qos: 1 });
  expect(overheard).toBe(0);
  for (const one of [discovery, provisioning, authority]) await one.endAsync();
});
