/** The home's network of a hostapd without a radio, which all else of it does without. Further lines go behind it. */
export function hostapdConf(network: {
  readonly driver: 'none' | 'wired';
  readonly interface: string;
  /** Where its control sockets are. */
  readonly controlFolder: string;
}): string {
  return `driver=${network.driver}
interface=${network.interface}
ctrl_interface=${network.controlFolder}
ssid=Home
wpa=2
wpa_key_mgmt=WPA-PSK
rsn_pairwise=CCMP
wpa_passphrase=of-the-home-itself
eap_server=1
wps_state=2
wps_independent=1
config_methods=push_button
`;
}
