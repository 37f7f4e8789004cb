import type { Mqtt2goError } from './errors.js';
import type { OnboardingStateName } from './onboarding-states.js';

/**
 * What the services say and hear, free of any revision's spelling. A revision of the standard (a
 * plugin of kind `revision`) reads bytes into these and writes these into bytes.
 */

/** Where an answer goes: the topic in the very form (leading slash or not) the request came on. */
export interface ReplyPath {
  readonly revision: string;
  readonly topic: string;
  /** The name of the home broker that the request came on, where there are several. A revision leaves it out. */
  readonly broker?: string | undefined;
}

/** Step 1: the controller wants a device added. */
export interface ActivateDevice {
  readonly kind: 'activate-device';
  readonly homeId: string;
  readonly gatewayId: string;
  readonly activationCode: string;
  readonly deviceId: string;
  /** Sent from Rev 1.2 on. */
  readonly deviceType?: string;
  readonly reply: ReplyPath;
}

/** Step 11: the person has named the device. */
export interface RenameDevice {
  readonly kind: 'rename-device';
  readonly homeId: string;
  readonly gatewayId: string;
  readonly deviceId: string;
  readonly deviceName: string;
  /** At least one. */
  readonly groupIds: readonly string[];
  readonly reply: ReplyPath;
}

/** Step 9: the device, on its home's broker, asks for its topics. */
export interface GetDeviceTopics {
  readonly kind: 'get-device-topics';
  readonly deviceId: string;
  readonly reply: ReplyPath;
}

/** The device, on its home's broker, asks for the certificate after its own. */
export interface RenewCertificate {
  readonly kind: 'renew-certificate';
  readonly deviceId: string;
  /** Upper-case hex: of the certificate that the device came with, by its own account. */
  readonly serialNumber?: string;
  /** PEM PKCS#10: the next certificate is for its key. */
  readonly csr?: string;
  readonly reply: ReplyPath;
}

/** Step 6: the device, on the activation broker, asks where its broker is and for its certificate. */
export interface GetBrokerData {
  readonly kind: 'get-broker-data';
  readonly activationCode: string;
  /** PEM PKCS#10, in the `csr` key mode only. */
  readonly csr?: string;
  readonly reply: ReplyPath;
}

/** With a gateway in the house: the device, on the initialization broker, asks for its certificate. */
export interface GetCredentials {
  readonly kind: 'get-credentials';
  readonly activationCode: string;
  /** PEM PKCS#10, in the `csr` key mode only. */
  readonly csr?: string;
  readonly reply: ReplyPath;
}

/** The same, on the guest Wi-Fi, for the home's Wi-Fi. */
export interface GetWifiCredentials {
  readonly kind: 'get-wifi-credentials';
  readonly activationCode: string;
  readonly reply: ReplyPath;
}

export type HomeInbound = ActivateDevice | RenameDevice | GetDeviceTopics | RenewCertificate;
export type ActivationInbound = GetBrokerData | GetCredentials | GetWifiCredentials;
export type Inbound = HomeInbound | ActivationInbound;

/** Step 7: answer to {@link GetBrokerData}. */
export interface BrokerData {
  readonly kind: 'broker-data';
  /** IP address or host name, no scheme. */
  readonly brokerHost: string;
  /** Left out on the wire when 8883. */
  readonly brokerPort: number;
  /** PEM bundle: certificate, chain, and the PKCS#8 key if the platform made it. */
  readonly deviceCertificate: string;
}

/** Answer to {@link GetCredentials}; the home's broker is where the device is. */
export interface Credentials {
  readonly kind: 'credentials';
  /** As in {@link BrokerData}. */
  readonly deviceCertificate: string;
}

/** Answer to {@link GetWifiCredentials}. */
export interface WifiCredentials {
  readonly kind: 'wifi-credentials';
  /** 1 to 32 bytes. */
  readonly ssid: string;
  readonly password: string;
}

/** Step 10: the platform asks the controller for name and group. */
export interface RenameRequested {
  readonly kind: 'rename-requested';
  readonly deviceId: string;
  readonly deviceType: string;
}

/** Step 12: answer to {@link GetDeviceTopics}. */
export interface DeviceTopics {
  readonly kind: 'device-topics';
  readonly topics: readonly string[];
}

/** Answer to {@link RenewCertificate}. */
export interface CertificateRenewed {
  readonly kind: 'certificate-renewed';
  /** PEM bundle: certificate and chain. */
  readonly deviceCertificate: string;
}

/** The home has moved: its broker is there now, and the device keeps its certificate. */
export interface BrokerMoved {
  readonly kind: 'broker-moved';
  /** IP address or host name, no scheme; `MQTT2GO.local` for a gateway that is found by mDNS. */
  readonly brokerHost: string;
  /** Left out on the wire when 8883. */
  readonly brokerPort: number;
}

/** Progress on the add_device topic; a controller of the plain standard may ignore it. */
export interface OnboardingProgress {
  readonly kind: 'onboarding-progress';
  readonly deviceId: string;
  readonly state: OnboardingStateName;
  /** How the device comes into the Wi-Fi, while it may. */
  readonly network?: NetworkInstructions | undefined;
}

/** By which a device comes into the Wi-Fi: a push button, a network for this activation only, or a person who types. */
export type NetworkMethod = 'wps' | 'guest' | 'manual';

/** What a controller tells the person; without passwords. */
export interface NetworkInstructions {
  readonly method: NetworkMethod;
  readonly instructions: string;
  /** Unix time in milliseconds. */
  readonly closesAtMs: number;
  /** Of the guest network. */
  readonly ssid?: string | undefined;
}

/** A command was carried out and the page gives no richer answer: `"ok"`. */
export interface CommandDone {
  readonly kind: 'command-done';
  readonly command: Inbound['kind'];
}

/** A command was refused: `{"event":"error","reason":code}`. */
export interface CommandRefused {
  readonly kind: 'command-refused';
  /** Left out when the message was too broken to tell. */
  readonly command?: Inbound['kind'];
  readonly error: Mqtt2goError;
}

export type Outbound =
  | BrokerData
  | Credentials
  | WifiCredentials
  | RenameRequested
  | DeviceTopics
  | CertificateRenewed
  | BrokerMoved
  | OnboardingProgress
  | CommandDone
  | CommandRefused;

/** What goes to the broker: a topic and the bytes of the message. */
export interface Publication {
  readonly topic: string;
  readonly payload: string;
}

/**
 * What became of one inbound message:
 * `message`: one of ours; `refused`: broken, and whoever sent it is told where that is possible;
 * `ignored`: not for the platform (its own reports coming back, for example).
 */
export type Reading<M extends Inbound = Inbound> =
  | { readonly outcome: 'message'; readonly message: M }
  | {
      readonly outcome: 'refused';
      readonly error: Mqtt2goError;
      readonly reply?: ReplyPath;
      readonly command?: Inbound['kind'];
    }
  | { readonly outcome: 'ignored' };
