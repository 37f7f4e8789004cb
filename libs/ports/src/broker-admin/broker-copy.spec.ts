import type { ActivationPrincipal, Principal, PrincipalKey } from '@mqtt2go/access';
import { describe, expect, it } from 'vitest';
import { BrokerAdmin } from './broker-admin.js';
import { BrokerCopy, type PrincipalSource } from './broker-copy.js';

function activation(id: string, activationCode: string): ActivationPrincipal {
  return { kind: 'activation', id, activationCode, expiresAtMs: 1 };
}

class Truth implements PrincipalSource {
  readonly rows = new Map<string, Principal>();
  async load(keys: readonly PrincipalKey[]): Promise<readonly Principal[]> {
    return keys.flatMap((key) => this.rows.get(key.id) ?? []);
  }
  async *all(): AsyncIterable<Principal> {
    yield* [...this.rows.values()];
  }
}

/** A broker that can be made to wait before it takes something over. */
class SlowBroker extends BrokerAdmin {
  readonly copy = new Map<string, Principal>();
  lost: () => Promise<void> = async () => undefined;
  beforePut: () => Promise<void> = async () => undefined;
  afterFirstPage: () => Promise<void> = async () => undefined;

  override async put(principals: readonly Principal[]): Promise<void> {
    const wait = this.beforePut;
    this.beforePut = async () => undefined;
    await wait();
    for (const principal of principals) this.copy.set(principal.id, principal);
  }
  override async remove(keys: readonly PrincipalKey[]): Promise<void> {
    for (const key of keys) this.copy.delete(key.id);
  }
  override async replaceAll(principals: AsyncIterable<Principal>): Promise<void> {
    const next: Principal[] = [];
    for await (const principal of principals) next.push(principal);
    await this.afterFirstPage();
    this.copy.clear();
    for (const principal of next) this.copy.set(principal.id, principal);
  }
  override async setTrustAnchors(): Promise<void> {}
  override onCopyLost(rebuild: () => Promise<void>): () => void {
    this.lost = rebuild;
    return () => {
      this.lost = async () => undefined;
    };
  }
}

const key: PrincipalKey = { kind: 'activation', id: 'lamp' };

describe('BrokerCopy', () => {
  it('puts what is stored and removes what is not', async () => {
    const truth = new Truth();
    const broker = new SlowBroker();
    const copy = new BrokerCopy(broker, truth);
    truth.rows.set('lamp', activation('lamp', 'A'));
    await copy.sync([key]);
    expect(broker.copy.get('lamp')).toEqual(activation('lamp', 'A'));
    truth.rows.clear();
    await copy.sync([key]);
    expect(broker.copy.size).toBe(0);
  });

  it('ends with the latest commit when writes overtake each other', async () => {
    const truth = new Truth();
    const broker = new SlowBroker();
    const copy = new BrokerCopy(broker, truth);
    truth.rows.set('lamp', activation('lamp', 'old'));
    let release = (): void => undefined;
    let waiting = (): void => undefined;
    const isWaiting = new Promise<void>((resolve) => {
      waiting = resolve;
    });
    broker.beforePut = () => {
      waiting();
      return new Promise((resolve) => {
        release = resolve;
      });
    };
    const first = copy.sync([key]);
    await isWaiting;
    truth.rows.set('lamp', activation('lamp', 'new'));
    await copy.sync([key]);
    release();
    await first;
    expect(broker.copy.get('lamp')).toEqual(activation('lamp', 'new'));
  });

  it('does not lose a change that is made while the copy is rebuilt', async () => {
    const truth = new Truth();
    const broker = new SlowBroker();
    const copy = new BrokerCopy(broker, truth);
    const stop = copy.keep();
    truth.rows.set('lamp', activation('lamp', 'A'));
    broker.afterFirstPage = async () => {
      truth.rows.set('plug', activation('plug', 'B'));
      await copy.sync([{ kind: 'activation', id: 'plug' }]);
    };
    await broker.lost();
    expect([...broker.copy.keys()].sort()).toEqual(['lamp', 'plug']);
    await stop();
    broker.copy.clear();
    await broker.lost();
    expect(broker.copy.size).toBe(0);
  });

  it('waits for a rebuild that runs when it stops', async () => {
    const truth = new Truth();
    const broker = new SlowBroker();
    const stop = new BrokerCopy(broker, truth).keep();
    truth.rows.set('lamp', activation('lamp', 'A'));
    const rebuilt = broker.lost();
    await stop();
    expect(broker.copy.size).toBe(1);
    await rebuilt;
  });

  it('passes on that the broker does not confirm', async () => {
    const truth = new Truth();
    const broker = new SlowBroker();
    truth.rows.set('lamp', activation('lamp', 'A'));
    broker.beforePut = () => Promise.reject(new Error('gone'));
    await expect(new BrokerCopy(broker, truth).sync([key])).rejects.toThrow('gone');
  });
});
