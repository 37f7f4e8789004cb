import type { KeyStore } from './key-store.js';

/** One behaviour that every {@link KeyStore} has; `check` rejects where it is missing. Gets an empty store. */
export interface KeyStoreBehaviour {
  readonly behaviour: string;
  check(store: KeyStore): Promise<void>;
}

const bytes = (...values: number[]) => new Uint8Array(values);

function ensure(actual: Uint8Array | undefined, expected: Uint8Array | undefined): void {
  const [given, wanted] = [actual, expected].map((value) => (value === undefined ? 'nothing' : `[${value.join(' ')}]`));
  if (given !== wanted) throw new Error(`got ${given} in the place of ${wanted}`);
}

/** For each adapter: `it.each(keyStoreContract)('$behaviour', ({ check }) => check(emptyStore))`. */
export const keyStoreContract: readonly KeyStoreBehaviour[] = [
  {
    behaviour: 'gives back what was stored',
    async check(store) {
      ensure(await store.putIfAbsent('root', bytes(1, 0, 255)), bytes(1, 0, 255));
      ensure(await store.get('root'), bytes(1, 0, 255));
    },
  },
  {
    behaviour: 'has nothing under a name that was not used',
    async check(store) {
      ensure(await store.get('root'), undefined);
    },
  },
  {
    behaviour: 'keeps the first secret of a name and tells it to whoever comes later',
    async check(store) {
      await store.putIfAbsent('root', bytes(1));
      ensure(await store.putIfAbsent('root', bytes(2)), bytes(1));
      ensure(await store.get('root'), bytes(1));
    },
  },
  {
    behaviour: 'tells all who store at once the same secret',
    async check(store) {
      const answers = await Promise.all([1, 2, 3, 4].map((value) => store.putIfAbsent('root', bytes(value))));
      const stored = await store.get('root');
      for (const answer of answers) ensure(answer, stored);
    },
  },
  {
    behaviour: 'keeps names apart',
    async check(store) {
      await store.putIfAbsent('root', bytes(1));
      await store.putIfAbsent('root/1', bytes(2));
      ensure(await store.get('root'), bytes(1));
      ensure(await store.get('root/1'), bytes(2));
    },
  },
  {
    behaviour: 'destroys a secret, and the name is free again',
    async check(store) {
      await store.putIfAbsent('root', bytes(1));
      await store.destroy('root');
      ensure(await store.get('root'), undefined);
      ensure(await store.putIfAbsent('root', bytes(2)), bytes(2));
    },
  },
  {
    behaviour: 'has nothing against destroying what is not there',
    async check(store) {
      await store.destroy('root');
    },
  },
  {
    behaviour: 'is not changed by what callers do with their arrays',
    async check(store) {
      const given = bytes(1);
      const answered = await store.putIfAbsent('root', given);
      given[0] = 9;
      answered[0] = 9;
      ensure(await store.get('root'), bytes(1));
    },
  },
];
