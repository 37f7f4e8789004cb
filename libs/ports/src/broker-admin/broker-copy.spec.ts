import type { ActivationPrincipal, Principal, PrincipalKey } from '@mqtt2go/access';
import { describe, expect, it, vi } from 'vitest';
import { BrokerAdmin } from './broker-admin.js';
import { BrokerCopy, type PrincipalLocks, type PrincipalSource } from './broker-copy.js';

function activation(id: string, activationCode: string): ActivationPrincipal {
  return { kind: 'activation', id, activationCode, expiresAtMs: 1 };
}

class Truth implements PrincipalSource {
  readonly rows = new Map<string, Principal>();
  loads = 0;
  async load(keys: readonly PrincipalKey[]): Promise<readonly Principal[]> {
    this.loads += 1;
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

/** Makes the next put wait. */
function holdPut(broker: SlowBroker): { isWaiting: Promise<void>; release: () => void } {
  const waiting = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  broker.beforePut = () => {
    waiting.resolve();
    return released.promise;
  };
  return { isWaiting: waiting.promise, release: released.resolve };
}

/** One after the other, whoever asks. */
class Locks implements PrincipalLocks {
  #turn: Promise<unknown> = Promise.resolve();

  async hold<T>(_names: readonly string[], work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
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
    const { isWaiting, release } = holdPut(broker);
    const first = copy.sync([key]);
    await isWaiting;
    truth.rows.set('lamp', activation('lamp', 'new'));
    await copy.sync([key]);
    release();
    await first;
    expect(broker.copy.get('lamp')).toEqual(activation('lamp', 'new'));
  });

  describe('a change', () => {
    /** Stores the code, or nothing, and tells what it stored. */
    const store = (truth: Truth, activationCode?: string) => async () => {
      if (activationCode === undefined) {
        truth.rows.delete('lamp');
        return { answer: activationCode, principal: 'absent' as const };
      }
      const principal = activation('lamp', activationCode);
      truth.rows.set('lamp', principal);
      return { answer: activationCode, principal };
    };

    it('is put as it was made, and read only where it does not say or others make changes too', async () => {
      const truth = new Truth();
      const broker = new SlowBroker();
      const copy = new BrokerCopy(broker, truth);
      expect(await copy.change(key, store(truth, 'A'))).toBe('A');
      expect(broker.copy.get('lamp')).toEqual(activation('lamp', 'A'));
      await copy.change(key, store(truth));
      expect(broker.copy.size).toBe(0);
      expect(truth.loads).toBe(0);
      truth.rows.set('lamp', activation('lamp', 'B'));
      await copy.change(key, async () => ({ answer: undefined, principal: 'unknown' }));
      expect(broker.copy.get('lamp')).toEqual(activation('lamp', 'B'));
      expect(truth.loads).toBe(1);
    });

    it('is not undone by an earlier one that reaches the broker after it', async () => {
      const truth = new Truth();
      const broker = new SlowBroker();
      const copy = new BrokerCopy(broker, truth);
      const { isWaiting, release } = holdPut(broker);
      const earlier = copy.change(key, store(truth, 'old'));
      await isWaiting;
      await copy.change(key, store(truth, 'new'));
      release();
      await earlier;
      expect(broker.copy.get('lamp')).toEqual(activation('lamp', 'new'));
    });

    it('is not undone by one that began after it and was stored before it', async () => {
      const truth = new Truth();
      const broker = new SlowBroker();
      const copy = new BrokerCopy(broker, truth);
      const storing = Promise.withResolvers<void>();
      const last = copy.change(key, async () => {
        await storing.promise;
        return store(truth, 'new')();
      });
      const { isWaiting, release } = holdPut(broker);
      const other = copy.change(key, store(truth, 'old'));
      await isWaiting;
      storing.resolve();
      await last;
      release();
      await other;
      expect(broker.copy.get('lamp')).toEqual(activation('lamp', 'new'));
    });

    it('is not lost when the copy is rebuilt from what was read before', async () => {
      const truth = new Truth();
      const broker = new SlowBroker();
      const copy = new BrokerCopy(broker, truth);
      broker.afterFirstPage = () => copy.change(key, store(truth, 'A')).then(() => undefined);
      await copy.rebuild();
      expect(broker.copy.get('lamp')).toEqual(activation('lamp', 'A'));
    });

    it('tells the broker nothing when it fails', async () => {
      const truth = new Truth();
      const broker = new SlowBroker();
      const copy = new BrokerCopy(broker, truth);
      await expect(copy.change(key, () => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
      await copy.change(key, store(truth, 'A'));
      expect(truth.loads).toBe(0);
    });
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

  it('tells and asks nothing of a change that leaves the principal as it was', async () => {
    const truth = new Truth();
    const broker = new SlowBroker();
    truth.rows.set('lamp', activation('lamp', 'A'));
    const copy = new BrokerCopy(broker, truth, { locks: new Locks() });
    expect(await copy.change(key, async () => ({ answer: 'named', principal: 'unchanged' }))).toBe('named');
    expect([broker.copy.size, truth.loads]).toEqual([0, 0]);
  });

  describe('of several processes', () => {
    it('never has an older state written over a newer one, not even for a moment', async () => {
      const truth = new Truth();
      const broker = new SlowBroker();
      const locks = new Locks();
      const [ours, theirs] = [new BrokerCopy(broker, truth, { locks }), new BrokerCopy(broker, truth, { locks })];
      truth.rows.set('lamp', activation('lamp', 'old'));
      const { isWaiting, release } = holdPut(broker);
      const slow = ours.sync([key]);
      await isWaiting;
      truth.rows.delete('lamp');
      const order: string[] = [];
      const removal = theirs.sync([key]).then(() => order.push('removed'));
      release();
      await Promise.all([slow.then(() => order.push('put')), removal]);
      expect(order).toEqual(['put', 'removed']);
      // Whoever was told that the lamp is gone finds it gone, and so it stays.
      expect(broker.copy.size).toBe(0);
    });

    it('rebuilds it to what is stored, whatever another process changes meanwhile', async () => {
      const truth = new Truth();
      const broker = new SlowBroker();
      const locks = new Locks();
      const [ours, theirs] = [new BrokerCopy(broker, truth, { locks }), new BrokerCopy(broker, truth, { locks })];
      for (const id of ['changed', 'removed', 'kept']) truth.rows.set(id, activation(id, 'old'));
      broker.afterFirstPage = async () => {
        truth.rows.set('changed', activation('changed', 'new'));
        truth.rows.delete('removed');
        truth.rows.set('added', activation('added', 'new'));
        await theirs.sync(['changed', 'removed', 'added'].map((id) => ({ kind: 'activation', id })));
      };
      await ours.rebuild();
      expect([...broker.copy.values()].sort((a, b) => a.id.localeCompare(b.id))).toEqual([
        activation('added', 'new'),
        activation('changed', 'new'),
        activation('kept', 'old'),
      ]);
    });

    it('writes together what is changed while another principal is being written', async () => {
      const truth = new Truth();
      const broker = new SlowBroker();
      const locks = new Locks();
      const hold = vi.spyOn(locks, 'hold');
      const copy = new BrokerCopy(broker, truth, { locks });
      const ids = ['lamp', 'plug', 'door'];
      const sync = (id: string) => {
        truth.rows.set(id, activation(id, 'A'));
        return copy.sync([{ kind: 'activation', id }]);
      };
      const { isWaiting, release } = holdPut(broker);
      const first = sync('lamp');
      await isWaiting;
      const others = Promise.all(['plug', 'door', 'plug'].map(sync));
      release();
      await Promise.all([first, others]);
      expect([...broker.copy.keys()]).toEqual(ids);
      expect(hold.mock.calls.map(([names]) => names)).toEqual([
        ['activation/lamp'],
        ['activation/plug', 'activation/door'],
      ]);
    });

    it('holds nobody else up when one cannot be written', async () => {
      const truth = new Truth();
      const broker = new SlowBroker();
      const stuck = Promise.withResolvers<void>();
      const locks: PrincipalLocks = {
        hold: async (names, work) => {
          if (names.includes('activation/lamp')) await stuck.promise;
          return work();
        },
      };
      const copy = new BrokerCopy(broker, truth, { locks });
      const first = copy.sync([key]);
      truth.rows.set('plug', activation('plug', 'A'));
      await copy.sync([{ kind: 'activation', id: 'plug' }]);
      expect([...broker.copy.keys()]).toEqual(['plug']);
      stuck.resolve();
      await first;
    });

    it('says so when a lock cannot be had', async () => {
      const locks = { hold: () => Promise.reject(new Error('no lock')) };
      await expect(new BrokerCopy(new SlowBroker(), new Truth(), { locks }).sync([key])).rejects.toThrow('no lock');
    });
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
