import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';

/** No blank, colon or control character: hostapd's commands are lines of words, and it splits one of them at a colon. */
const path = z.string().regex(/^\/[A-Za-z0-9._/-]{1,200}$/, 'an absolute path of A-Z a-z 0-9 . _ / -');
const interfaceName = z.string().regex(/^[A-Za-z0-9._-]{1,15}$/, 'an interface: 1 to 15 of A-Z a-z 0-9 . _ -');

const schema = z.object({
  /** The interface of the home's own network. */
  MQTT2GO_HOSTAPD_INTERFACE: interfaceName.default('wlan0'),
  /** As `ctrl_interface` in hostapd's configuration. */
  MQTT2GO_HOSTAPD_CONTROL_DIR: path.default('/run/hostapd'),
  /** The name of hostapd's global socket in that folder (`hostapd -g /run/hostapd/global`). */
  MQTT2GO_HOSTAPD_GLOBAL: interfaceName.default('global'),
  /** The interface that is made for the guest network; without it there is none. */
  MQTT2GO_HOSTAPD_GUEST_INTERFACE: interfaceName.optional(),
  /** What the guests' interface becomes a part of, so that they get addresses. */
  MQTT2GO_HOSTAPD_GUEST_BRIDGE: interfaceName.optional(),
  /** As `driver` in hostapd's configuration. */
  MQTT2GO_HOSTAPD_GUEST_DRIVER: z.enum(['nl80211', 'none']).default('nl80211'),
  /** The radio (`phy0`) that carries the guest network; the one of the home's by default. */
  MQTT2GO_HOSTAPD_GUEST_PHY: interfaceName.optional(),
  /** A folder of this process's own that hostapd can read. The guest network's file is in it for a moment. */
  MQTT2GO_HOSTAPD_RUN_DIR: path.default('/run/mqtt2go'),
  MQTT2GO_HOSTAPD_CLI: path.default('/usr/sbin/hostapd_cli'),
  /** Milliseconds that hostapd has for an answer. */
  MQTT2GO_HOSTAPD_TIMEOUT_MS: z.coerce.number().int().min(100).max(30_000).default(5_000),
});

export type HostapdSettings = z.infer<typeof schema>;

/** @throws Mqtt2goError `configuration_invalid`, with the variable and what it takes */
export function readHostapdSettings(env: Readonly<Record<string, string | undefined>>): HostapdSettings {
  const parsed = schema.safeParse(env);
  if (parsed.success) return Object.freeze(parsed.data);
  const [issue] = parsed.error.issues;
  const name = String(issue?.path[0]);
  throw new Mqtt2goError('configuration_invalid', `${name} is ${JSON.stringify(env[name])}: ${issue?.message}.`);
}
