import { expect, it } from 'vitest';
import { Story } from './story.js';

const all = Array.from({ length: 13 }, (_unused, at) => at + 1);
const tell = (steps: readonly number[]): Story => {
  const story = new Story();
  for (const step of steps) story.happened(step);
  return story;
};

it('is complete with all steps in their order, repeated or not', () => {
  expect(() => tell(all).requireAll()).not.toThrow();
  expect(() => tell([...all, 9, 12]).requireAll()).not.toThrow();
});

it('tells a step once', () => {
  const story = new Story();
  expect([story.happened(3), story.happened(3)]).toEqual([true, false]);
});

it('names what is missing', () => {
  expect(() => tell(all.filter((step) => step !== 4 && step !== 10)).requireAll()).toThrow('4, 10');
});

it('does not take another order', () => {
  expect(() => tell([2, 1, ...all.slice(2)]).requireAll()).toThrow('another order');
});
