import { expect, it } from 'vitest';
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
  const join = new HostapdNetworkJoin({ MQTT2GO_HOSTAPD_CLI: '/nonexistent/hostapd_cli' });
  await join.start();
  expect(join.methods).toEqual(['wps']);
  const request = { activationId: 'act-1', method: 'wps', deadline: Date.now() + 60_000 } as const;
  await expect(join.open(request)).rejects.toMatchObject({ code: 'unavailable' });
  await join.stop();
});
