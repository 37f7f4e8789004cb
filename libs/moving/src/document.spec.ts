/// <reference types="node" />
import { readFileSync, writeFileSync } from 'node:fs';
import { env } from 'node:process';
import { expect, it } from 'vitest';
import { movingTables } from './document.js';

const page = new URL('../../../docs/moving.md', import.meta.url);
const block = /(<!-- begin:moving -->\n)[\s\S]*?(<!-- end:moving -->)/;

it('finds the tables of docs/moving.md drawn from those that run (UPDATE_DOCS=1 writes them anew)', () => {
  const text = readFileSync(page, 'utf8');
  expect(text).toMatch(block);
  const drawn = text.replace(block, (_all, begin: string, end: string) => `${begin}${movingTables()}\n${end}`);
  if (env['UPDATE_DOCS'] === '1') writeFileSync(page, drawn);
  expect(readFileSync(page, 'utf8')).toBe(drawn);
});
