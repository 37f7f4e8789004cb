import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect } from 'node:tls';
import { SERVER_VALIDITY_MS } from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { checkDatabase } from './support/invariants.js';
import { SystemStack } from './support/system-stack.js';
import { LivingDevice, openController } from './support/traffic.js';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const naming = { name: 'Lamp', groupIds: ['living'] };

describe('clocks that are wrong, and certificates that have ended', () => {
  let stack: SystemStack;
  const devices: LivingDevice[] = [];

  beforeAll(async () => {
    stack = await SystemStack.start({ homeBrokers: 1 });
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${await stack.tailOfLogs()}\n`);
    await Promise.all(devices.splice(0).map((device) => device.stop()));
  });
  afterAll(() => stack?.close());

  const cases: readonly [string, KeyMode, () => number][] = [
    ['7 hours behind', 'existing-key', () => Date.now() - 7 * hourMs],
    ['3 days ahead', 'csr', () => Date.now() + 3 * dayMs],
    ['in 1970, as without a clock', 'server-key', () => 0],
  ];
  it.each(cases)('a device whose clock is %s is added and works', async (_what, keyMode, now) => {
    const app = await stack.app();
    const controller = await openController(stack, app);
    const minted = await stack.mint({ keyMode });
    const device = new LivingDevice(minted, app, keyMode, stack, await stack.ca(), { now });
    devices.push(device);
    device.start();
    const { deviceId, code } = minted;
    await controller.addDevice({ deviceId, activationCode: code, naming });
    const [topic = ''] = await device.active();
    await controller.send(topic, 'set', 'on');
    const credentials = await device.store.credentials();
    const { validFrom } = new X509Certificate(credentials?.certificate ?? '');
    // Whoever checks it may have a clock that is some minutes behind.
    expect(Date.parse(validFrom)).toBeLessThan(Date.now() - 4 * 60_000);
    await controller.close();
    await checkDatabase(stack, []);
  });

  it('a home broker whose certificate has ended is left by all, and found again when it is renewed', async () => {
    const app = await stack.app();
    const controller = await openController(stack, app);
    const ca = await stack.ca();
    const active = new LivingDevice(await stack.mint(), app, 'existing-key', stack, ca);
    const joining = new LivingDevice(await stack.mint(), app, 'existing-key', stack, ca);
    devices.push(active, joining);
    active.start();
    const { deviceId, code } = active.minted;
    await controller.addDevice({ deviceId, activationCode: code, naming });
    const [topic = ''] = await active.active();

    let adding: Promise<unknown> = Promise.resolve();
    const isAsked = new Promise<void>((resolve) => {
      const asked = { deviceId: joining.deviceId, activationCode: joining.minted.code, naming };
      adding = controller.addDevice({ ...asked, onProgress: ({ kind }) => kind === 'state' && resolve() });
      adding.catch(() => undefined);
    });
    await isAsked;

    const { deployment, postgres, inside } = stack;
    const certificate = ['brokers', 'home-0', 'server.crt'];
    await rm(deployment.path('deployment', ...certificate));
    await deployment.initialise(postgres.urlInside, inside, -(SERVER_VALIDITY_MS + dayMs));
    expect(Date.parse(new X509Certificate(await deployment.read(...certificate)).validTo)).toBeLessThan(Date.now());
    await stack.broker('home-0').kill();
    await stack.broker('home-0').start();

    const distrusts = new Promise<void>((resolve) => {
      active.device.on('problem', ({ error }) => error.code === 'server_untrusted' && resolve());
    });
    await distrusts;
    await expect(openController(stack, app)).rejects.toMatchObject({ code: 'server_untrusted' });
    await expect(stack.connectApp(app)).rejects.toThrow();

    await deployment.initialise(postgres.urlInside, inside);
    expect(Date.parse(new X509Certificate(await deployment.read(...certificate)).validTo)).toBeGreaterThan(Date.now());
    await stack.broker('home-0').kill('SIGHUP');

    // The controller comes back by itself to name the new device, and the other one has kept its home.
    joining.start();
    await adding;
    await joining.active();
    for (const each of [topic, (await joining.active())[0] ?? ''])
      await waitFor(() => controller.send(each, 'set', 'on').catch(() => undefined), `an answer at ${each}`, 60_000);
    await controller.close();
    await checkDatabase(stack, []);
  });

  it('a device that meets a certificate that has ended before it has a home says nothing, and joins later', async () => {
    const app = await stack.app();
    const controller = await openController(stack, app);
    const { deployment, postgres, inside } = stack;
    const device = new LivingDevice(await stack.mint(), app, 'existing-key', stack, await stack.ca());
    devices.push(device);
    const adding = controller.addDevice({ deviceId: device.deviceId, activationCode: device.minted.code, naming });
    await rm(deployment.path('deployment', 'brokers', 'activation', 'server.crt'));
    await deployment.initialise(postgres.urlInside, inside, -(SERVER_VALIDITY_MS + dayMs));
    await stack.broker('activation').kill('SIGHUP');
    await waitFor(
      async () => (await shownUntil(stack)) < Date.now(),
      'the certificate that has ended is shown',
      30_000,
    );
    device.start();
    expect(await device.ended()).toMatchObject({ code: 'server_untrusted' });

    await deployment.initialise(postgres.urlInside, inside);
    await stack.broker('activation').kill('SIGHUP');
    await waitFor(async () => (await shownUntil(stack)) > Date.now(), 'the new certificate is shown', 30_000);
    device.start();
    await adding;
    await device.active();
    await controller.close();
    await checkDatabase(stack, []);
  });
});

/** When the certificate that the activation broker shows at the moment ends. */
async function shownUntil(stack: SystemStack): Promise<number> {
  const socket = connect({ host: 'localhost', port: stack.deployment.activationPort, rejectUnauthorized: false });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  const { valid_to: validTo } = socket.getPeerCertificate();
  socket.destroy();
  return Date.parse(validTo);
}
