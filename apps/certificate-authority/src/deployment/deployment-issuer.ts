import { join } from 'node:path';
import type { ServiceName } from '@mqtt2go/access';
import { openDataSource } from '@mqtt2go/persistence';
import {
  type EncryptionKey,
  homeOfAuthority,
  isIssuedBy,
  isLocalHost,
  readCertificate,
  PUBLIC_FILE_MODE,
  SECRET_FILE_MODE,
  SecretBox,
  writeFileAtomically,
} from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import type { Logger } from 'pino';
import { Authorities } from '../authority/authorities.js';
import { databaseOptions } from '../database-options.js';
import { type Enrolling, type GatewayIdentity, readGatewayIdentity } from '../gateway/enrolment.js';
import { type Identity, type IdentityRequest, keepIdentity } from './identity-files.js';

export interface DeploymentIssuerOptions {
  readonly databaseUrl: string;
  readonly encryptionKey: EncryptionKey;
  readonly clock: Clock;
  readonly log: Logger;
  /** For a platform that is to become a gateway of an operator's cloud, at its first start. */
  readonly enrolling?: Enrolling | undefined;
}

/** Where an identity is kept, and what it has to name. */
export interface IdentityPlace {
  /** Gets `<name>.crt` and `<name>.key`. */
  readonly folder: string;
  readonly name: string;
  /** Host names and IP addresses by which the holder is called. */
  readonly hosts: readonly string[];
  /** Of the key; for the owner only by default. */
  readonly keyMode?: number;
}

/**
 * Issues what the servers and services of a deployment show of themselves, into files. An identity that is there, fits
 * and does not end soon is left as it is.
 */
export class DeploymentIssuer {
  readonly #issued: string[] = [];

  private constructor(
    private readonly authorities: Authorities,
    private readonly clock: Clock,
    private readonly log: Logger,
    /** How the platform is known at its cloud, if it is an enrolled gateway. */
    readonly gateway: GatewayIdentity | undefined,
  ) {}

  /**
   * Makes the platform's CAs if the database has none.
   * @throws Mqtt2goError `configuration_invalid` when the database's keys are sealed with another encryption key;
   * `unavailable` without the database
   */
  static async open(options: DeploymentIssuerOptions): Promise<DeploymentIssuer> {
    const { encryptionKey, clock, log, enrolling } = options;
    const box = new SecretBox(encryptionKey);
    const dataSource = await openDataSource({ ...databaseOptions(options), poolSize: 1 });
    try {
      const authorities = await Authorities.open(dataSource, box, clock, enrolling);
      const gateway = await readGatewayIdentity(dataSource.manager, box, authorities.root.certificate);
      return new DeploymentIssuer(authorities, clock, log, gateway);
    } finally {
      await dataSource.destroy();
    }
  }

  /** PEM: the root that devices and controllers carry. */
  get ca(): string {
    return this.authorities.root.certificate;
  }

  /**
   * PEM: what a broker that knows devices by their names alone has to trust. Not the root, below which each gateway has a CA that
   * could give any name to anybody, but the CA of the platform's own devices.
   * @param existing what the broker has; answered again while it is good, so that a broker is not disturbed
   */
  devicesCa(existing: string | undefined): string {
    const { issuing } = this.authorities;
    const isGood = existing !== undefined && isAnchorOf(issuing.certificate, existing);
    return isGood ? existing : issuing.asTrustAnchor(this.clock.now());
  }

  /** PEM: the CA of the services and of the doors for them. */
  get servicesCa(): string {
    return this.authorities.services.certificate;
  }

  /** The files that were made so far, sorted; those that were left as they are are not among them. */
  get issued(): readonly string[] {
    return this.#issued.toSorted();
  }

  /** Writes `ca.crt` and `services-ca.crt`. */
  async writeAuthorities(folder: string): Promise<void> {
    await writeFileAtomically(join(folder, 'ca.crt'), this.ca, PUBLIC_FILE_MODE);
    await writeFileAtomically(join(folder, 'services-ca.crt'), this.servicesCa, PUBLIC_FILE_MODE);
  }

  /** Writes `gateway.crt` and `gateway.key`, how an enrolled gateway is known at its cloud; nothing for any other. */
  async writeGateway(folder: string): Promise<void> {
    if (this.gateway === undefined) return;
    await writeFileAtomically(join(folder, 'gateway.key'), this.gateway.key, SECRET_FILE_MODE);
    await writeFileAtomically(join(folder, 'gateway.crt'), this.gateway.cert, PUBLIC_FILE_MODE);
  }

  /** What a server shows to devices and controllers. @param commonName the name of the identity by default */
  server(place: IdentityPlace, commonName: string = place.name): Promise<Identity> {
    const { server } = this.authorities;
    const hosts = this.#nameable(place.hosts);
    return this.#keep({ ...place, hosts }, server, (publicKey, nowMs) =>
      server.issueServer({ commonName, hosts, publicKey, nowMs }),
    );
  }

  /** What a service, or a broker's door for services, shows to the others. */
  service(service: ServiceName | 'broker', place: IdentityPlace): Promise<Identity> {
    const { services } = this.authorities;
    const { hosts } = place;
    return this.#keep(place, services, (publicKey, nowMs) =>
      services.issueService({ service, hosts, publicKey, nowMs }),
    );
  }

  /** A gateway's CA may name what is in a house and nothing else; with another name, nothing of the certificate is trusted. */
  #nameable(hosts: readonly string[]): readonly string[] {
    if (homeOfAuthority(this.authorities.server.certificate) === undefined) return hosts;
    const others = hosts.filter((host) => !isLocalHost(host));
    if (others.length > 0) this.log.info({ hosts: others }, 'a gateway’s certificates cannot name these hosts');
    return hosts.filter(isLocalHost);
  }

  async #keep(
    place: IdentityPlace,
    authority: IdentityRequest['authority'],
    issue: (publicKey: Parameters<IdentityRequest['issue']>[0], nowMs: number) => ReturnType<IdentityRequest['issue']>,
  ): Promise<Identity> {
    const nowMs = this.clock.now();
    const { identity, isNew } = await keepIdentity({
      ...place,
      authority,
      nowMs,
      issue: (publicKey) => issue(publicKey, nowMs),
    });
    if (isNew) this.#issued.push(place.name);
    return identity;
  }
}

/** True if `anchor` is a self-signed certificate of the CA's name and key that lasts as long. */
function isAnchorOf(authority: string, anchor: string): boolean {
  try {
    const [own, other] = [readCertificate(authority), readCertificate(anchor)];
    return (
      own.commonName === other.commonName &&
      own.notAfterMs === other.notAfterMs &&
      own.publicKey.equals(other.publicKey) &&
      isIssuedBy(anchor, anchor)
    );
  } catch {
    return false;
  }
}
