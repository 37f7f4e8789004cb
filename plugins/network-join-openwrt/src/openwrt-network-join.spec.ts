import { writeFile } from 'node:fs/promises';
import { inspect } from 'node:util';
import { FakeClock, type NetworkJoinEvent } from '@mqtt2go/ports';
import { networkJoinContract } from '@mqtt2go/ports/testing';
import { expect, it, onTestFinished } from 'vitest';
import { OpenwrtNetworkJoin, signalOf } from './openwrt-network-join.js';
import { FakeRouter } from './test-support/fake-router.js';

networkJoinContract('OpenwrtNetworkJoin', async () => {
  const router = await FakeRouter.start();
  return {
    // A killed process can take nothing back in its own session; the router does, by its timer.
    process: (clock) => {
      router.takeBack();
      return new OpenwrtNetworkJoin(router.env, { clock, tickMs: 5 });
    },
    openIn: async () => router.openIn(),
    close: () => router.close(),
  };
});

async function started(more: Record<string, string> = {}) {
  const router = await FakeRouter.start();
  const clock = new FakeClock();
  const join = new OpenwrtNetworkJoin({ ...router.env, ...more }, { clock, tickMs: 3_600_000, watchMs: 5 });
  onTestFinished(async () => {
    await join.stop();
    await router.close();
  });
  await join.start();
  const open = (method: 'wps' | 'guest') =>
    join.open({ activationId: 'act-1', method, deadline: clock.now() + 600_000 });
  return { router, clock, join, open };
}

it('has the router take the guest network back by itself, and makes it as it says', async () => {
  const { router, open } = await started();
  const { network } = await open('guest');
  expect(router.takesBackAfterS).toBe(601);
  expect(router.guest).toEqual({
    device: 'radio0',
    mode: 'ap',
    network: 'guest',
    ssid: 'MQTT2GO',
    encryption: 'sae-mixed',
    key: network?.passphrase.reveal(),
    isolate: '1',
  });
});

it('waits for the router to take back what a killed process left open, and opens nothing until then', async () => {
  const { router, clock, open } = await started();
  await open('guest');
  const next = new OpenwrtNetworkJoin(router.env, { clock, tickMs: 3_600_000 });
  onTestFinished(() => next.stop());
  await next.start();
  const request = { activationId: 'act-2', method: 'guest', deadline: clock.now() + 60_000 } as const;
  await expect(next.open(request)).rejects.toMatchObject({ code: 'forbidden' });
  router.takeBack();
  await next.open(request);
  expect(router.openIn()).toEqual(['guest']);
});

it('removes a guest network that the router kept over a restart', async () => {
  const { router, join, open } = await started();
  await open('guest');
  router.restart();
  await join.close('act-1');
  expect(router.openIn()).toEqual([]);
  expect([...router.wireless.keys()]).toEqual(['home']);
});

it('logs in again when the session has ended', async () => {
  const { router, open } = await started();
  router.endSessions();
  await open('wps');
  expect(router.openIn()).toEqual(['wps']);
  expect(router.calls.filter((one) => one === 'session.login')).toHaveLength(2);
});

it.each(['uci.apply', 'uci.add', 'session.login'])('leaves nothing open when it may not %s', async (what) => {
  const { router, open } = await started();
  router.denied = what;
  if (what === 'session.login') router.endSessions();
  await expect(open('guest')).rejects.toMatchObject({ code: 'forbidden' });
  expect(router.openIn()).toEqual([]);
});

it('shows no password in any error', async () => {
  const { router, join } = await started({ MQTT2GO_OPENWRT_TIMEOUT_MS: '200' });
  const { password } = router;
  await writeFile(router.env['MQTT2GO_OPENWRT_CREDENTIALS_FILE'] ?? '', `mqtt2go\n${password}-wrong\n`);
  const wrong = new OpenwrtNetworkJoin(router.env);
  await wrong.start();
  onTestFinished(() => wrong.stop());
  const request = { activationId: 'act-1', method: 'guest', deadline: Date.now() + 60_000 } as const;
  const errors: unknown[] = [await wrong.open(request).catch((error: unknown) => error)];
  for (const says of [
    '<html>',
    `{"result":[0,{"key":"${'x'.repeat(9)}"}],`,
    '{"error":{"code":-32700}}',
    '{}',
    'x'.repeat(300_000),
  ]) {
    router.says = says;
    errors.push(await join.open(request).catch((error: unknown) => error));
  }
  router.answers = false;
  errors.push(await join.open(request).catch((error: unknown) => error));
  expect(errors.map((error) => error instanceof Error && 'code' in error && error.code)).toEqual([
    'forbidden',
    ...Array.from({ length: 5 }, () => 'unavailable'),
    'timeout',
  ]);
  expect(inspect(errors, { depth: 9 })).not.toContain('own" password');
  router.answers = true;
  router.says = undefined;
});

it('says nothing to a router that is another', async () => {
  const { router, clock } = await started();
  const { MQTT2GO_OPENWRT_CA_FILE: _, ...withoutCa } = router.env;
  const calls = router.calls.length;
  const pins = [{}, { MQTT2GO_OPENWRT_CERTIFICATE_SHA256: '00'.repeat(32) }];
  for (const pin of pins) {
    const join = new OpenwrtNetworkJoin({ ...withoutCa, ...pin }, { clock });
    await join.start();
    const request = { activationId: 'act-1', method: 'wps', deadline: clock.now() + 60_000 } as const;
    await expect(join.open(request)).rejects.toMatchObject({ code: 'server_untrusted' });
    await join.stop();
  }
  expect(router.calls).toHaveLength(calls);
  const pinned = new OpenwrtNetworkJoin({ ...withoutCa, MQTT2GO_OPENWRT_CERTIFICATE_SHA256: router.sha256 }, { clock });
  await pinned.start();
  await pinned.open({ activationId: 'act-1', method: 'wps', deadline: clock.now() + 60_000 });
  await pinned.stop();
});

it('sees a device succeed by the push button', async () => {
  const { router, join, open } = await started();
  const closed = new Promise<NetworkJoinEvent[]>((resolve) => {
    const events: NetworkJoinEvent[] = [];
    join.onEvent((event) => {
      events.push(event);
      if (event.kind === 'closed') resolve(events);
    });
  });
  await open('wps');
  router.wps = { pbc_status: 'Disabled', last_wps_result: 'Success', peer_address: '02:00:00:00:00:0A' };
  expect(await closed).toEqual([
    { activationId: 'act-1', kind: 'wps-succeeded', mac: '02:00:00:00:00:0a' },
    { activationId: 'act-1', kind: 'closed', because: 'success' },
  ]);
});

it.each([
  [{ pbc_status: 'Active', last_wps_result: 'Success' }, undefined],
  [{ pbc_status: 'Overlap', last_wps_result: 'None' }, { kind: 'wps-overlap' }],
  [{ pbc_status: 'Timeout', last_wps_result: 'None' }, { kind: 'wps-timed-out' }],
  [{ pbc_status: 'Disabled', last_wps_result: 'Success', peer_address: '$(reboot)' }, { kind: 'wps-succeeded' }],
  [{}, undefined],
])('reads the status %j', (status, signal) => {
  expect(signalOf(status)).toEqual(signal);
});

it.each([
  ['MQTT2GO_OPENWRT_URL', 'http://192.168.1.1/ubus'],
  ['MQTT2GO_OPENWRT_RADIO', "radio0'\n"],
  ['MQTT2GO_OPENWRT_CERTIFICATE_SHA256', 'abc'],
  ['MQTT2GO_OPENWRT_CREDENTIALS_FILE', '/nonexistent'],
  ['MQTT2GO_OPENWRT_TIMEOUT_MS', '0'],
])('does not start with %s as %j', async (name, value) => {
  const router = await FakeRouter.start();
  onTestFinished(() => router.close());
  const join = new OpenwrtNetworkJoin({ ...router.env, [name]: value });
  const error: unknown = await join.start().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'configuration_invalid' });
  expect(String(error)).toContain(name);
});
