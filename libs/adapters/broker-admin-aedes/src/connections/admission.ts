import {
  type BrokerRole,
  isServiceName,
  type AccessRules,
  type PasswordHash,
  type Principal,
  type PrincipalKey,
  type ServiceName,
} from '@mqtt2go/access';
import { homeUnit } from '@mqtt2go/pki';
import { identifier, Mqtt2goError } from '@mqtt2go/protocol';
import type { Clock } from '@mqtt2go/ports';
import type { ConnectPacket } from 'aedes';
import { controllerId } from '../control/messages.js';
import { type AccessCopy, acceptsSerial } from '../copy/access-copy.js';
import type { PasswordCheck } from '../copy/password-check.js';
import type { GuessThrottle } from '../guess-throttle.js';
import type { Arrival, PresentedCertificate } from './arrival.js';
import {
  badUserNameOrPassword,
  identifierRejected,
  type Refusal,
  type RefusalReason,
  refuse,
  serverUnavailable,
} from './refusals.js';

/** Who the client has proved to be, and by what, so that the session ends when that is taken back. */
export interface Identity {
  readonly outcome: 'admitted';
  readonly key: PrincipalKey;
  readonly service?: ServiceName;
  /** In the place of the service's. */
  readonly rules?: AccessRules;
  readonly certificateSerial?: string;
  readonly password?: PasswordHash;
}

export type Admission = Identity | Refusal;

/** What is known from CONNECT, before a password has been checked. */
export interface Candidate {
  /**
   * The session's name, made from the proved identity: no client can take over the session of another,
   * whatever client id it claims. A device has one session; a controller one for each id that it uses.
   */
  readonly clientId: string;
  /** True to give up the session when the connection ends, whatever the client asked for. */
  readonly isAlwaysClean: boolean;
  /** Whose sessions are counted together. */
  readonly owner: PrincipalKey;
  readonly verify: (isWanted: () => boolean) => Admission | Promise<Admission>;
}

export interface AdmissionOptions {
  readonly role: BrokerRole;
  readonly clock: Clock;
  readonly copy: AccessCopy;
  readonly passwords: PasswordCheck;
  readonly throttle: GuessThrottle;
  readonly batchCertificateNames: ReadonlySet<string>;
  readonly initializationAccounts: boolean;
}

/** Decides from the certificate or the password who a client is. */
export class AdmissionDesk {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Never throws: a client that cannot be let in is a {@link Refusal}. */
  identify(arrival: Arrival, packet: ConnectPacket): Candidate | Refusal {
    const { door, certificate } = arrival;
    if (door === 'services' || door === 'in-process') return this.#service(arrival, packet);
    if (certificate !== undefined) {
      const problem = this.#problemOf(certificate);
      if (problem !== undefined) return problem;
      return this.#options.role === 'activation'
        ? this.#activation(arrival, certificate, packet)
        : this.#device(certificate);
    }
    if (this.#options.role === 'home') return this.#controller(packet);
    if (!this.#options.initializationAccounts) return refuse('certificate_missing');
    return this.#account(arrival, 'no certificate', packet);
  }

  #service({ service, rules, certificate }: Arrival, packet: ConnectPacket): Candidate | Refusal {
    const problem = certificate && this.#problemOf(certificate);
    if (problem !== undefined) return problem;
    const name = service ?? certificate?.commonName;
    if (!isServiceName(name)) return refuse('service_unknown');
    const key: PrincipalKey = { kind: 'service', id: name };
    const clientId = clientIdOf(key, packet);
    if (clientId === undefined) return refuse('client_id_invalid', identifierRejected);
    return {
      clientId,
      isAlwaysClean: packet.clientId === '',
      owner: key,
      verify: () => ({ outcome: 'admitted', key, service: name, ...(rules && { rules }) }),
    };
  }

  /** By its certificate only: a user name that comes with it is not looked at. */
  #device({ commonName = '', serialNumber, organizationalUnits }: PresentedCertificate): Candidate | Refusal {
    const key: PrincipalKey = { kind: 'device', id: commonName };
    const principal = this.#options.copy.find(key.kind, key.id)?.principal;
    if (principal === undefined) return this.#refuse('certificate_unknown');
    if (!acceptsSerial(principal, serialNumber)) return this.#refuse('certificate_not_current');
    // A gateway's CA can sign what it likes, but no name without its own home in it.
    if (!isOfHome(principal, organizationalUnits)) return this.#refuse('certificate_of_another_home');
    return {
      clientId: `${key.kind}/${key.id}`,
      isAlwaysClean: false,
      owner: key,
      verify: () => ({ outcome: 'admitted', key, certificateSerial: serialNumber }),
    };
  }

  #controller(packet: ConnectPacket): Candidate | Refusal {
    const { username, password } = packet;
    if (username === undefined || password === undefined) return refuse('certificate_missing');
    if (!controllerId.safeParse(username).success) return refuse('password_wrong', badUserNameOrPassword);
    const key: PrincipalKey = { kind: 'controller', id: username };
    const clientId = clientIdOf(key, packet);
    if (clientId === undefined) return refuse('client_id_invalid', identifierRejected);
    return {
      clientId,
      isAlwaysClean: packet.clientId === '',
      owner: key,
      verify: () => this.#checkPassword(key, Buffer.from(password)),
    };
  }

  async #checkPassword(key: PrincipalKey, password: Uint8Array): Promise<Admission> {
    const { copy, passwords } = this.#options;
    const stored = () => {
      const principal = copy.find(key.kind, key.id)?.principal;
      return principal?.kind === 'controller' ? principal.password : undefined;
    };
    const expected = stored();
    try {
      const isRight = await passwords.isRight(password, expected);
      // It may have been replaced while it was checked.
      if (!isRight || expected === undefined || stored()?.hash !== expected.hash) {
        return this.#refuse('password_wrong', badUserNameOrPassword);
      }
      return { outcome: 'admitted', key, password: expected };
    } catch (error) {
      if (error instanceof Mqtt2goError) return refuse('too_many_sign_ins', serverUnavailable);
      throw error;
    }
  }

  /**
   * A device whose owner has not added it yet is let in and reaches nothing: it keeps its connection, so
   * that it need not come back with a TLS handshake each time it tries.
   */
  #activation(arrival: Arrival, certificate: PresentedCertificate, packet: ConnectPacket): Candidate | Refusal {
    const { commonName = '', fingerprint256 } = certificate;
    if (this.#options.batchCertificateNames.has(commonName)) return this.#account(arrival, fingerprint256, packet);
    const key: PrincipalKey = { kind: 'activation', id: commonName };
    return {
      clientId: `${key.kind}/${key.id}`,
      isAlwaysClean: true,
      owner: key,
      verify: () => ({ outcome: 'admitted', key }),
    };
  }

  /**
   * A device whose certificate does not tell which one it is, or that has none: the user name is its id, the password its
   * activation code. There is such an account only while the device is being added.
   */
  #account({ from }: Arrival, certificate: string, { username, password }: ConnectPacket): Candidate | Refusal {
    if (username === undefined || password === undefined || !identifier.safeParse(username).success) {
      return refuse('activation_code_wrong', badUserNameOrPassword);
    }
    const { copy, clock, throttle } = this.#options;
    const key: PrincipalKey = { kind: 'activation', id: username };
    const code = Buffer.from(password).toString('utf8');
    const isRight = (): boolean => {
      const principal = copy.find(key.kind, key.id)?.principal;
      return (
        principal?.kind === 'activation' && principal.activationCode === code && clock.now() < principal.expiresAtMs
      );
    };
    return {
      clientId: `${key.kind}/${key.id}`,
      isAlwaysClean: true,
      owner: key,
      verify: (isWanted) =>
        new Promise((resolve) => {
          throttle.attempt({
            // Others hold the same certificate, or none as well: what one does must not hold the others up.
            certificate: `${certificate} ${from} ${username}`,
            code: `${username} ${code}`,
            isRight,
            isWanted,
            done: (right) =>
              resolve(
                right ? { outcome: 'admitted', key } : this.#refuse('activation_code_wrong', badUserNameOrPassword),
              ),
          });
        }),
    };
  }

  /** As long as the broker has not been told who is allowed in, nobody can be told that they are not. */
  #refuse(reason: RefusalReason, returnCode?: number): Refusal {
    return this.#options.copy.isComplete
      ? refuse(reason, returnCode)
      : refuse('access_copy_incomplete', serverUnavailable);
  }

  #problemOf({ distrust, validToMs, commonName }: PresentedCertificate): Refusal | undefined {
    if (distrust !== undefined) {
      return refuse(distrust === 'CERT_HAS_EXPIRED' ? 'certificate_expired' : 'certificate_untrusted');
    }
    if (validToMs <= this.#options.clock.now()) return refuse('certificate_expired');
    if (!identifier.safeParse(commonName).success) return refuse('certificate_without_device_id');
    return undefined;
  }
}

/** True unless the certificate says that it is from the CA of another home's gateway. */
function isOfHome(principal: Principal, units: readonly string[]): boolean {
  if (units.length === 0) return true;
  return principal.kind === 'device' && units.length === 1 && units[0] === homeUnit(principal.homeId);
}

const maxClientIdLength = 128;

/** Undefined for an id that is too long or holds what does not belong in one. */
function clientIdOf({ kind, id }: PrincipalKey, { clientId }: ConnectPacket): string | undefined {
  if (clientId.length > maxClientIdLength || /\p{Cc}/u.test(clientId)) return undefined;
  return `${kind}/${id}/${clientId === '' ? crypto.randomUUID() : clientId}`;
}
