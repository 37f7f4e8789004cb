import { type BrokerRole, grantsOf, type Principal, type ServiceName, serviceNames } from '@mqtt2go/access';
import type { Clock } from '@mqtt2go/ports';
import { type Login, ownsClientId, readLoginName } from '../names/login-name.js';
import type { PasswordDesk } from './password-desk.js';
import { acceptsSerial, type KnownPrincipal, type PrincipalCopy } from './principal-copy.js';
import { type StrictRules, strictRules } from './strict-rules.js';

/** A sign-in as a broker reports it. */
export interface SignIn {
  /** A certificate's name, or the user name that was sent. */
  readonly name: string;
  readonly clientId: string;
  /** Undefined when a certificate was shown and no password sent: the broker has checked who holds it. */
  readonly password?: string | undefined;
}

/** `unknown`: not in the copy, which is not complete yet. */
export type Decision = 'allow' | 'deny' | 'unknown';

const maxCompiled = 20_000;

/** Answers what brokers ask, from the copy and the one policy. */
export class AccessDesk {
  readonly #role: BrokerRole;
  readonly #copy: PrincipalCopy;
  readonly #passwords: PasswordDesk;
  readonly #clock: Clock;
  readonly #services: ReadonlyMap<ServiceName, StrictRules>;
  /** Compiled when first asked for, the least recently used forgotten first. */
  readonly #compiled = new Map<KnownPrincipal, StrictRules>();

  constructor(options: { role: BrokerRole; copy: PrincipalCopy; passwords: PasswordDesk; clock: Clock }) {
    this.#role = options.role;
    this.#copy = options.copy;
    this.#passwords = options.passwords;
    this.#clock = options.clock;
    this.#services = new Map(serviceNames.flatMap((id) => serviceRules(id, options.role)));
  }

  /** @throws Mqtt2goError `too_many_attempts` */
  async signIn({ name, clientId, password }: SignIn): Promise<Decision> {
    const login = readLoginName(name);
    if (login === undefined || !ownsClientId(login, clientId)) return 'deny';
    // A certificate's name in the hands of somebody who types it proves nothing, a user's name in a certificate neither.
    if ((login.kind === 'controller') !== (password !== undefined)) return 'deny';
    if (password === undefined) return this.admits(name, clientId);
    const expected = this.#copy.controller(login.id)?.password;
    if (expected === undefined && !this.#copy.isComplete) return 'unknown';
    if (!(await this.#passwords.isRight(login.id, password, expected))) return 'deny';
    // It may have been replaced meanwhile.
    return this.#copy.controller(login.id)?.password.hash === expected?.hash ? 'allow' : 'deny';
  }

  /** Whether who is in under this name may stay. */
  admits(name: string, clientId: string): Decision {
    const login = readLoginName(name);
    if (login === undefined || !ownsClientId(login, clientId)) return 'deny';
    if (login.kind === 'service') return this.#services.has(login.id) ? 'allow' : 'deny';
    if (this.#find(login) !== undefined) return 'allow';
    return this.#copy.isComplete ? 'deny' : 'unknown';
  }

  /** @param topic as MQTT writes it; for `subscribe` a filter */
  mayUse(name: string, clientId: string, action: 'publish' | 'subscribe', topic: string): Decision {
    const decision = this.admits(name, clientId);
    const login = readLoginName(name);
    if (decision !== 'allow' || login === undefined) return decision;
    const rules = login.kind === 'service' ? this.#services.get(login.id) : this.#rulesOf(this.#find(login));
    return rules?.allows(action, topic, this.#clock.now()) === true ? 'allow' : 'deny';
  }

  #find(login: Exclude<Login, { kind: 'service' }>): KnownPrincipal | undefined {
    if (login.kind === 'controller') return this.#copy.controller(login.id);
    const device = this.#copy.device(login.id);
    return device !== undefined && acceptsSerial(device, login.serialNumber) ? device : undefined;
  }

  #rulesOf(principal: KnownPrincipal | undefined): StrictRules | undefined {
    if (principal === undefined) return undefined;
    const rules = this.#compiled.get(principal) ?? strictRules(principal, this.#role);
    this.#compiled.delete(principal);
    this.#compiled.set(principal, rules);
    for (const oldest of this.#compiled.keys()) {
      if (this.#compiled.size <= maxCompiled) break;
      this.#compiled.delete(oldest);
    }
    return rules;
  }
}

/** Nothing for a service that has no business here: the topics of embedded brokers' administration are not any here. */
function serviceRules(id: ServiceName, role: BrokerRole): [ServiceName, StrictRules][] {
  const principal: Principal = { kind: 'service', id };
  const hasBusiness = grantsOf(principal, role).subscribe.some((filter) => !filter.startsWith('$'));
  return hasBusiness ? [[id, strictRules(principal, role)]] : [];
}
