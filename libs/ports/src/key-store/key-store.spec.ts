import { describe, it } from 'vitest';
import { FakeKeyStore } from './fake-key-store.js';
import { keyStoreContract } from './key-store.contract.js';

describe('FakeKeyStore', () => {
  it.each(keyStoreContract)('$behaviour', ({ check }) => check(new FakeKeyStore()));
});
