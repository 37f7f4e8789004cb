/** Who stands at a broker's door, as the database knows them. Brokers hold copies of these. */
export type Principal = DevicePrincipal | ControllerPrincipal | ActivationPrincipal | ServicePrincipal;

/**
 * A device of a home, on the home broker. Identity: the CN of its operational certificate. Its groups are no part of
 * it: naming a device, or moving it between groups, changes nothing of what it may do.
 */
export interface DevicePrincipal {
  readonly kind: 'device';
  readonly id: string;
  readonly homeId: string;
  readonly gatewayId: string;
  readonly deviceType: string;
  /** Upper-case hex serial numbers of the certificates it may come with; any other is turned away. */
  readonly certificateSerials: readonly string[];
  /** Its certificate may be of its home's gateway, for brokers that have to be told whose CA to trust. */
  readonly trustsGateway?: true | undefined;
  /** Its home has moved to another broker: it is told so, gets what was kept for it, and can say nothing else. */
  readonly hasMoved?: true | undefined;
}

/** A controller (app) of a home, on the home broker. Identity: user name and password. */
export interface ControllerPrincipal {
  readonly kind: 'controller';
  /** The MQTT user name, `<name>@<home>`: never what a certificate can be called, see {@link controllerUsername}. */
  readonly id: string;
  readonly homeId: string;
  readonly gatewayId: string;
  /** `bridge`: not a person's, but the home's gateway's. */
  readonly role: 'administrator' | 'family_member' | 'guest' | 'bridge';
  readonly password: PasswordHash;
  /** The password itself, for a broker that takes no hashes. In memory only: never stored or logged as it stands. */
  readonly secret?: string;
  /** Its home has moved to another broker: it can ask on `add_device`, and is told where. */
  readonly hasMoved?: true | undefined;
}

/**
 * A device on the activation broker, for the life of its activation. Identity: the CN of its
 * pre-loaded certificate; for a batch certificate user name = device id and password = activation code.
 */
export interface ActivationPrincipal {
  readonly kind: 'activation';
  /** The device id. */
  readonly id: string;
  readonly activationCode: string;
  /** Unix time in milliseconds, after which the broker refuses by itself. */
  readonly expiresAtMs: number;
}

/** One of the platform's services. Identity: the CN of its service certificate. */
export interface ServicePrincipal {
  readonly kind: 'service';
  readonly id: ServiceName;
}

export const serviceNames = [
  'discovery',
  'provisioning',
  'certificate-authority',
  'topic-generator',
  'federation',
  'operator',
] as const;
/** `operator` is the command line of whoever runs the platform. */
export type ServiceName = (typeof serviceNames)[number];

export function isServiceName(name: string | undefined): name is ServiceName {
  return serviceNames.some((known) => known === name);
}

/** PBKDF2-SHA512; passwords are random tokens of at least 128 bits, made by the platform. */
export interface PasswordHash {
  readonly algorithm: 'pbkdf2-sha512';
  readonly iterations: number;
  /** base64 */
  readonly salt: string;
  /** base64, 64 bytes */
  readonly hash: string;
}

/** A principal's key in a broker's copy. */
export interface PrincipalKey {
  readonly kind: Principal['kind'];
  readonly id: string;
}

/** Which broker: the home's, the Discovery server's, or the service bus. */
export type BrokerRole = 'home' | 'activation' | 'bus';

export type Action = 'subscribe' | 'publish' | 'receive';
