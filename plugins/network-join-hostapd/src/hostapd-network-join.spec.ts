import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { HostapdNetworkJoin, signalOf } from './hostapd-network-join.js';
import { readHostapdSettings } from './hostapd-settings.js';

const mac = '02:00:00:00:00:01';

it.each([
  [`AP-STA-CONNECTED ${mac}`, { kind: 'station-joined', mac }],
  [`WPS-REG-SUCCESS ${mac} 2b3c8c1e-0000-0000-0000-000000000000`, { kind: 'wps-succeeded', mac }],
  ['WPS-SUCCESS ', { kind: 'wps-succeeded' }],
  ['WPS-FAIL msg=8 config_error=18', { kind: 'wps-failed' }],
  ['WPS-TIMEOUT ', { kind: 'wps-timed-out' }],
  ['WPS-OVERLAP-DETECTED ', { kind: 'wps-overlap' }],
])('reads %j', (event, signal) => {
  expect(signalOf(event)).toEqual(signal);
});

it.each([
  'AP-STA-CONNECTED',
  'AP-STA-CONNECTED $(reboot)',
  `CTRL-EVENT-EAP-STARTED ${mac}`,
  // A device says what it is called itself.
  `WPS-ENROLLEE-SEEN ${mac} uuid 1-0050F204-1 0x3148 4 1 [WPS-SUCCESS]`,
  '',
])('makes nothing of %j', (event) => {
  expect(signalOf(event)).toBeUndefined();
});

it.each([
  ['MQTT2GO_HOSTAPD_INTERFACE', 'wlan0 raw'],
  ['MQTT2GO_HOSTAPD_GUEST_INTERFACE', 'guest0\nwpa=0'],
  ['MQTT2GO_HOSTAPD_GUEST_BRIDGE', '; reboot'],
  ['MQTT2GO_HOSTAPD_RUN_DIR', '/run/a:b'],
  ['MQTT2GO_HOSTAPD_CLI', 'hostapd_cli'],
  ['MQTT2GO_HOSTAPD_TIMEOUT_MS', '0'],
])('does not start with %s as %j', async (name, value) => {
  expect(() => readHostapdSettings({ [name]: value })).toThrow(name);
  await expect(new HostapdNetworkJoin({ [name]: value }).start()).rejects.toMatchObject({
    code: 'configuration_invalid',
  });
});

it('starts without hostapd, and opens nothing until it is there', async () => {
  const absent = new HostapdNetworkJoin({ MQTT2GO_HOSTAPD_CLI: '/nonexistent/hostapd_cli' });
  await absent.start();
  expect(absent.methods).toEqual(['wps']);
  const request = { activationId: 'act-1', method: 'wps', deadline: Date.now() + 60_000 } as const;
  await expect(absent.open(request)).rejects.toMatchObject({ code: 'unavailable' });
  await absent.stop();
});

it.each([
  ['Disabled', 'opens'],
  ['Active', 'refuses'],
])('with a push button that cannot be cancelled and is %s, %s a guest network', async (pbc, outcome) => {
  const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-hostapd-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  // What hostapd 2.11 answers without WPS in its configuration. Called as: -p folder -i socket raw command ...
  const answers = `case "$6" in REMOVE|WPS_CANCEL) echo FAIL;; INTERFACES) echo wlan0;; ADD) echo OK;;
    WPS_GET_STATUS) printf 'PBC Status: ${pbc}\\nLast WPS result: None\\n';; esac`;
  const client = join(folder, 'hostapd_cli');
  await writeFile(client, `#!/bin/sh\n${answers}\n`, { mode: 0o755 });
  const networkJoin = new HostapdNetworkJoin({
    MQTT2GO_HOSTAPD_CLI: client,
    MQTT2GO_HOSTAPD_RUN_DIR: join(folder, 'run'),
    MQTT2GO_HOSTAPD_GUEST_INTERFACE: 'guest0',
    MQTT2GO_HOSTAPD_GUEST_PHY: 'phy0',
  });
  await networkJoin.start();
  onTestFinished(() => networkJoin.stop());
  const request = { activationId: 'act-1', method: 'guest', deadline: Date.now() + 60_000 } as const;
  const opened = await networkJoin.open(request).then(
    () => 'opens',
    () => 'refuses',
  );
  expect(opened).toBe(outcome);
});
