import type { PlatformConfig } from '@mqtt2go/config';
import { NetworkJoinHostapdPlugin } from '@mqtt2go/network-join-hostapd';
import { NetworkJoinManualPlugin } from '@mqtt2go/network-join-manual';
import { NetworkJoinOpenwrtPlugin } from '@mqtt2go/network-join-openwrt';
import type { BuiltInPlugin, PluginHost } from '@mqtt2go/plugin-api';
import type { ProvisioningDeps } from '@mqtt2go/provisioning';
import { Revision1Plugin } from '@mqtt2go/revision-1';

/** The ways into a Wi-Fi that come with the program. */
export const networkJoins: Readonly<Record<string, BuiltInPlugin>> = {
  'network-join-hostapd': NetworkJoinHostapdPlugin,
  'network-join-openwrt': NetworkJoinOpenwrtPlugin,
  'network-join-manual': NetworkJoinManualPlugin,
};

export const builtInPlugins: Readonly<Record<string, BuiltInPlugin>> = {
  'revision-1': Revision1Plugin,
  ...networkJoins,
};

/** How this gateway lets new devices into the Wi-Fi: by the first plugin of that kind. Not at all in the cloud. */
export function networkJoinOf(
  { profile, networkMethod: method }: PlatformConfig,
  plugins: PluginHost,
): ProvisioningDeps['network'] {
  if (profile.homeBroker === 'remote') return undefined;
  const join = plugins
    .ofKind('network-join')
    .map((plugin) => plugin.networkJoin())
    .find((one) => one !== undefined);
  return join && { join, method };
}
