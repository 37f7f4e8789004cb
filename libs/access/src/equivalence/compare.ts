import { compileRules } from '../rules.js';
import { grantsOf } from '../grants.js';
import type { Action, BrokerRole, Principal } from '../principals.js';
import type { Attempts } from './attempts.js';

/** A session at the broker; the plain client of `@mqtt2go/testing` fits. */
export interface TriedSession {
  subscribe(filter: string): Promise<boolean>;
  unsubscribe(filter: string): Promise<void>;
  readonly received: readonly { readonly topic: string; readonly payload: string }[];
  /** Resolves when a message with this payload is there. */
  receives(payload: string): Promise<void>;
  close(): Promise<void>;
}

/** A broker that is held against the policy. */
export interface BrokerUnderTest<S extends TriedSession> {
  readonly role: BrokerRole;
  /** Makes the broker know these and nobody else. */
  load(principals: readonly Principal[]): Promise<void>;
  /** Undefined if it is turned away. */
  connect(principal: Principal): Promise<S | undefined>;
  /** Whether each of the messages was let through. */
  publish(session: S, messages: readonly { topic: string; payload: string }[]): Promise<boolean[]>;
  /** Publishes as somebody who may. False for what nobody may, so that nobody can get it. */
  deliver(topic: string, payload: string): Promise<boolean>;
}

/** The broker's answer where it is not the policy's. */
export interface Difference {
  readonly principal: string;
  readonly action: Action;
  readonly topic: string;
  readonly policy: boolean;
  readonly broker: boolean;
}

export interface Comparison {
  /** Answers that were compared. */
  readonly decisions: number;
  /** How many of these were permissions. */
  readonly allowed: number;
  readonly differences: readonly Difference[];
}

let messages = 0;

/**
 * Has everybody try everything, and compares what comes of it with the policy.
 * @param strangers known to nobody: they may do nothing
 */
export async function compareAccess<S extends TriedSession>(
  broker: BrokerUnderTest<S>,
  principals: readonly Principal[],
  attempts: Attempts,
  strangers: readonly Principal[] = [],
): Promise<Comparison> {
  await broker.load(principals);
  const tally = new Tally();
  const known = new Set(principals);
  const everybody = await Promise.all(
    [...principals, ...strangers].map(async (principal) => ({ principal, session: await broker.connect(principal) })),
  );
  const tried = everybody.flatMap(({ principal, session }) => {
    if (session !== undefined) return [new Tried(broker, principal, session, known.has(principal), tally)];
    if (known.has(principal)) throw new Error(`${principal.kind} ${principal.id} was turned away`);
    return [];
  });
  try {
    await Promise.all(tried.map((one) => one.listen()));
    await deliverAll(broker, tried, attempts.topics);
    await Promise.all(tried.map((one) => one.trySubscriptions(attempts.filters)));
    // One after the other: a broker may count refusals without telling whose they are.
    for (const one of tried) await one.tryPublications(attempts.topics);
    return tally;
  } finally {
    await Promise.all(tried.map(({ session }) => session.close()));
  }
}

async function deliverAll<S extends TriedSession>(
  broker: BrokerUnderTest<S>,
  tried: readonly Tried<S>[],
  topics: readonly string[],
): Promise<void> {
  const sent = await Promise.all(
    topics.map(async (topic) => {
      const payload = `message ${(messages += 1)}`;
      return { topic, payload, isSent: await broker.deliver(topic, payload) };
    }),
  );
  for (const one of tried) {
    await one.hasHeardAll();
    const heard = new Set(one.session.received.map(({ topic, payload }) => `${payload} ${topic}`));
    for (const { topic, payload, isSent } of sent)
      if (isSent) one.compare('receive', topic, heard.has(`${payload} ${topic}`));
  }
}

class Tally implements Comparison {
  decisions = 0;
  allowed = 0;
  readonly differences: Difference[] = [];
}

class Tried<S extends TriedSession> {
  readonly #allows: (action: Action, topic: string) => boolean;

  constructor(
    private readonly broker: BrokerUnderTest<S>,
    private readonly principal: Principal,
    readonly session: S,
    private readonly isKnown: boolean,
    private readonly tally: Tally,
  ) {
    const rules = compileRules(principal, broker.role);
    this.#allows = (action, topic) => isKnown && rules.allows(action, topic, Date.now());
  }

  compare(action: Action, topic: string, isAllowed: boolean): void {
    const policy = this.#allows(action, topic);
    this.tally.decisions += 1;
    if (policy) this.tally.allowed += 1;
    if (policy === isAllowed) return;
    const principal = `${this.isKnown ? '' : 'unknown '}${JSON.stringify(this.principal)}`;
    this.tally.differences.push({ principal, action, topic, policy, broker: isAllowed });
  }

  /** Subscribes to all that it may, as widely as it may. */
  async listen(): Promise<void> {
    const { subscribe, subscribeLiterally } = grantsOf(this.principal, this.broker.role);
    await this.trySubscriptions([...subscribe, ...subscribeLiterally], true);
  }

  async trySubscriptions(filters: readonly string[], keep = false): Promise<void> {
    await Promise.all(
      filters.map(async (filter) => {
        const isGranted = await this.session.subscribe(filter);
        this.compare('subscribe', filter, isGranted);
        if (isGranted && !keep) await this.session.unsubscribe(filter);
      }),
    );
  }

  async tryPublications(topics: readonly string[]): Promise<void> {
    const all = topics.map((topic) => ({ topic, payload: `message ${(messages += 1)}` }));
    const outcomes = await this.broker.publish(this.session, all);
    for (const [i, { topic }] of all.entries()) this.compare('publish', topic, outcomes[i] ?? false);
  }

  /** Messages come in order: what was sent before one that it gets is there or will never come. */
  async hasHeardAll(): Promise<void> {
    if (!this.isKnown) return;
    const [filter] = grantsOf(this.principal, this.broker.role).receive;
    if (filter === undefined) return;
    const payload = `message ${(messages += 1)}`;
    const topic = filter.replaceAll('+', 'last');
    if (!(await this.broker.deliver(topic, payload))) throw new Error(`nobody may publish on ${topic}`);
    await this.session.receives(payload);
  }
}
