import { type Action, type BrokerRole, compileRules, type Principal, type PrincipalKey } from '@mqtt2go/access';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Clock, SystemClock } from '../clock/clock.js';
import { BrokerAdmin } from './broker-admin.js';

/** Who is at the door: the name that was proved, and the certificate or password that proved it. */
export interface FakeConnection {
  readonly key: PrincipalKey;
  /** Of a device: the serial number of its certificate. */
  readonly certificateSerial?: string;
  /** Of a controller; left out, it is taken for the right one. */
  readonly password?: string;
}

/** A live session at {@link FakeBrokerAdmin}. */
export class FakeSession {
  /** Resolves when the broker has ended it. */
  readonly closed: Promise<void>;
  #isOpen = true;
  #resolveClosed: () => void = () => undefined;
  readonly #mayDo: (action: Action, topic: string) => boolean;

  constructor(
    readonly connection: FakeConnection,
    mayDo: (action: Action, topic: string) => boolean,
  ) {
    this.#mayDo = mayDo;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** What the broker would decide now; false once the session is closed. */
  may(action: Action, topic: string): boolean {
    return this.#isOpen && this.#mayDo(action, topic);
  }

  close(): void {
    this.#isOpen = false;
    this.#resolveClosed();
  }
}

/** A broker without a network: the copy, its sessions, and decisions by the one policy. */
export class FakeBrokerAdmin extends BrokerAdmin {
  readonly principals = new Map<string, Principal>();
  readonly sessions = new Set<FakeSession>();
  trustAnchors: readonly string[] = [];
  /** While true, everything is refused with `unavailable`. */
  isAway = false;
  /** What was put or removed while the copy is replaced: newer than what the replacement brings. */
  readonly #replacements = new Set<Set<string>>();
  readonly #rebuilds = new Set<() => Promise<void>>();
  readonly #role: BrokerRole;
  readonly #clock: Clock;

  constructor({ role = 'home', clock = new SystemClock() }: { role?: BrokerRole; clock?: Clock } = {}) {
    super();
    this.#role = role;
    this.#clock = clock;
  }

  override async put(principals: readonly Principal[]): Promise<void> {
    this.#assertThere();
    this.#touch(principals);
    for (const principal of principals) this.#set(principal);
  }

  override async remove(keys: readonly PrincipalKey[]): Promise<void> {
    this.#assertThere();
    this.#touch(keys);
    for (const key of keys) this.#delete(nameOf(key));
  }

  override async replaceAll(principals: AsyncIterable<Principal> | Iterable<Principal>): Promise<void> {
    this.#assertThere();
    const touched = new Set<string>();
    const kept = new Set<string>();
    this.#replacements.add(touched);
    try {
      for await (const principal of principals) {
        kept.add(nameOf(principal));
        if (!touched.has(nameOf(principal))) this.#set(principal);
      }
    } finally {
      this.#replacements.delete(touched);
    }
    for (const name of [...this.principals.keys()]) {
      if (!kept.has(name) && !touched.has(name)) this.#delete(name);
    }
  }

  override async setTrustAnchors(certificates: readonly string[]): Promise<void> {
    this.#assertThere();
    this.trustAnchors = [...certificates];
  }

  override onCopyLost(rebuild: () => Promise<void>): () => void {
    this.#rebuilds.add(rebuild);
    queueMicrotask(() => {
      if (this.#rebuilds.has(rebuild)) void rebuild();
    });
    return () => {
      this.#rebuilds.delete(rebuild);
    };
  }

  /** The broker restarts: copy and sessions are gone, and whoever keeps the copy is told. Resolves when it is rebuilt. */
  async loseCopy(): Promise<void> {
    this.principals.clear();
    this.trustAnchors = [];
    for (const session of [...this.sessions]) this.#close(session);
    await Promise.all([...this.#rebuilds].map((rebuild) => rebuild()));
  }

  /** A connection attempt; undefined when it is turned away. */
  connect(connection: FakeConnection): FakeSession | undefined {
    const name = nameOf(connection.key);
    const principal = this.principals.get(name);
    if (connection.key.kind !== 'activation' && (principal === undefined || !accepts(principal, connection))) {
      return undefined;
    }
    const session = new FakeSession(connection, (action, topic) => {
      const now = this.principals.get(name);
      return now !== undefined && compileRules(now, this.#role).allows(action, topic, this.#clock.now());
    });
    this.sessions.add(session);
    return session;
  }

  #touch(keys: readonly PrincipalKey[]): void {
    for (const touched of this.#replacements) for (const key of keys) touched.add(nameOf(key));
  }

  #set(principal: Principal): void {
    const name = nameOf(principal);
    const before = this.principals.get(name);
    this.principals.set(name, principal);
    for (const session of [...this.sessions]) {
      if (nameOf(session.connection.key) !== name) continue;
      if (!accepts(principal, session.connection) || hasNewPassword(before, principal)) this.#close(session);
    }
  }

  #delete(name: string): void {
    this.principals.delete(name);
    for (const session of [...this.sessions]) if (nameOf(session.connection.key) === name) this.#close(session);
  }

  #close(session: FakeSession): void {
    session.close();
    this.sessions.delete(session);
  }

  #assertThere(): void {
    if (this.isAway) throw new Mqtt2goError('unavailable', 'The broker does not answer.');
  }
}

function nameOf(key: PrincipalKey): string {
  return `${key.kind}/${key.id}`;
}

function accepts(principal: Principal, connection: FakeConnection): boolean {
  const { password } = connection;
  if (principal.kind === 'controller') return password === undefined || password === principal.secret;
  if (principal.kind !== 'device') return true;
  return (
    connection.certificateSerial !== undefined && principal.certificateSerials.includes(connection.certificateSerial)
  );
}

function hasNewPassword(before: Principal | undefined, after: Principal): boolean {
  return before?.kind === 'controller' && after.kind === 'controller' && before.password.hash !== after.password.hash;
}
