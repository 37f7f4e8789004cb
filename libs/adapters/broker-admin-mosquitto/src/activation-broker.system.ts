import { within, Certificates, closed, nextMessage, subscribes } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { controlTopic } from './control/commands.js';
import { MosquittoStage } from './test-support/mosquitto-stage.js';
import { activation } from './test-support/principals.js';

let certificates: Certificates;
let stage: MosquittoStage;

beforeAll(async () => {
  certificates = await Certificates.create();
  stage = await MosquittoStage.start(certificates, 'activation');
});
afterAll(() => stage.close());

describe('an activation broker', () => {
  it('trusts a manufacturer from the moment on at which it is registered', async () => {
    const admin = stage.admin({ accessDir: stage.accessDir });
    await admin.replaceAll([activation('lamp-1', 'CODE1'), activation('lamp-2', 'CODE2')]);
    const first = await certificates.preloaded('lamp-1', certificates.manufacturer);
    const second = await certificates.preloaded('lamp-2', certificates.otherManufacturer);
    const { certificate } = certificates.manufacturer;
    expect(await stage.tryConnect(first)).toHaveProperty('refusedWith');
    await admin.setTrustAnchors([certificate]);
    const lamp = await stage.connect(first);
    expect(await subscribes(lamp, 'CODE1/activation')).toBe(true);
    expect(await stage.tryConnect(second)).toHaveProperty('refusedWith');
    await admin.setTrustAnchors([certificate, certificates.otherManufacturer.certificate]);
    const other = await stage.connect(second);
    for (const filter of ['CODE1/activation', '+/activation', '#', '$SYS/#']) {
      expect(await subscribes(other, filter)).toBe(false);
    }
    expect(await subscribes(other, 'CODE2/activation')).toBe(true);
    const foreign = await certificates.preloaded('lamp-1', certificates.foreign);
    expect(await stage.tryConnect(foreign)).toHaveProperty('refusedWith');
    for (const one of [lamp, other]) await one.endAsync();
  });

  it('carries what a device and discovery say to each other, and nothing to anybody else', async () => {
    const admin = stage.admin({ accessDir: stage.accessDir });
    await admin.put([activation('lamp-3', 'CODE3')]);
    const discovery = await stage.connectService('discovery');
    expect(await subscribes(discovery, '$share/discovery/+/activation')).toBe(true);
    const lamp = await stage.connect(await certificates.preloaded('lamp-3'));
    const bystander = await stage.connect(await certificates.preloaded('discovery'));
    expect(await subscribes(bystander, 'CODE3/activation')).toBe(false);
    await bystander.publishAsync('CODE3/activation', 'as somebody else', { qos: 1 });
    const command = JSON.stringify({ commands: [{ command: 'deleteClient', username: 'lamp-3' }] });
    await bystander.publishAsync(controlTopic, command, { qos: 1 });
    const asked = nextMessage(discovery);
    await lamp.publishAsync('CODE3/activation', 'where to?', { qos: 1 });
    expect(await asked).toBe('CODE3/activation where to?');
    expect(await subscribes(lamp, 'CODE3/activation')).toBe(true);
    const answered = nextMessage(lamp);
    await discovery.publishAsync('CODE3/activation', 'home', { qos: 1 });
    expect(await answered).toBe('CODE3/activation home');
    for (const one of [lamp, bystander, discovery]) await one.endAsync();
  });

  it('lets an activation end by itself', async () => {
    const admin = stage.admin({ accessDir: stage.accessDir });
    await admin.put([activation('lamp-4', 'CODE4', 1_500)]);
    const lamp = await stage.connect(await certificates.preloaded('lamp-4'));
    expect(await subscribes(lamp, 'CODE4/activation')).toBe(true);
    await within(closed(lamp), 'the end of the activation');
    const again = await stage.connect(await certificates.preloaded('lamp-4'));
    expect(await subscribes(again, 'CODE4/activation')).toBe(false);
    await again.endAsync();
  });

  it('gives a device that is added again its new code, and not the old one', async () => {
    const admin = stage.admin({ accessDir: stage.accessDir });
    await admin.put([activation('lamp-5', 'CODE5')]);
    const before = await stage.connect(await certificates.preloaded('lamp-5'));
    const end = closed(before);
    await admin.put([activation('lamp-5', 'CODE6')]);
    await within(end, 'the end of the session');
    const lamp = await stage.connect(await certificates.preloaded('lamp-5'));
    expect(await subscribes(lamp, 'CODE5/activation')).toBe(false);
    expect(await subscribes(lamp, 'CODE6/activation')).toBe(true);
    await lamp.endAsync();
  });
});
