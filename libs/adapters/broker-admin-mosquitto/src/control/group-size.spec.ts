import { describe, expect, it } from 'vitest';
import { GroupSize } from './group-size.js';

describe('GroupSize', () => {
  it('grows while the broker is quick, up to a limit', () => {
    const size = new GroupSize(100);
    for (let i = 0; i < 20; i += 1) size.learn(size.current, 1);
    expect(size.current).toBe(100);
  });

  it('shrinks where the broker takes long for many commands, and never to nothing', () => {
    const size = new GroupSize(100);
    size.learn(1, 0.5);
    for (let i = 0; i < 20; i += 1) size.learn(size.current, 0.5 + size.current * 2);
    expect(size.current).toBe(8);
  });

  it('takes a long way for what it is', () => {
    const size = new GroupSize(100);
    for (let i = 0; i < 20; i += 1) size.learn(size.current, 80);
    expect(size.current).toBe(100);
  });
});
