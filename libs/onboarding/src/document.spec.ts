/// <reference types="node" />
import { readFileSync, writeFileSync } from 'node:fs';
import { env } from 'node:process';
import { expect, it } from 'vitest';
import { onboardingDocument } from './document.js';

const page = new URL('../../../docs/onboarding.md', import.meta.url);

it('finds docs/onboarding.md drawn from the very table that runs', () => {
  if (env['UPDATE_DOCS'] === '1') writeFileSync(page, onboardingDocument());
  expect(readFileSync(page, 'utf8')).toBe(onboardingDocument());
});
