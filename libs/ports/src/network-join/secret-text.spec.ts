import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { SecretText } from './secret-text.js';

it('shows itself to nobody but who asks for it', () => {
  const holder = { network: { passphrase: new SecretText('correct horse') } };
  for (const shown of [
    inspect(holder, { depth: 9, showHidden: true }),
    JSON.stringify(holder),
    String(holder.network.passphrase),
  ]) {
    expect(shown).not.toContain('horse');
    expect(shown).toContain('[hidden]');
  }
  expect(holder.network.passphrase.reveal()).toBe('correct horse');
});
