import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Collector, deferred, waitFor, waitForEvent, within } from './waiting.js';

describe('waiting in tests', () => {
  it('gives the arguments of the event that matches, and leaves no listener', async () => {
    const emitter = new EventEmitter();
    const event = waitForEvent<[number]>(emitter, 'count', (count) => count > 1);
    emitter.emit('count', 1);
    emitter.emit('count', 2);
    expect(await event).toEqual([2]);
    expect(emitter.listenerCount('count')).toBe(0);
  });

  it('says what did not happen', async () => {
    await expect(waitForEvent(new EventEmitter(), 'nothing', undefined, 1)).rejects.toThrow(
      "event 'nothing' did not happen",
    );
    await expect(waitFor(() => false, 'rain', 1)).rejects.toThrow('rain did not come true');
    await expect(within(new Promise(() => undefined), 'the end', 1)).rejects.toThrow('the end did not happen');
    await expect(new Collector().first(1, 1)).rejects.toThrow('item 1 did not happen');
  });

  it('gives items whether they come before or after they are asked for', async () => {
    const collector = new Collector<string>();
    collector.add('a');
    const both = collector.first(2);
    collector.add('b');
    expect(await both).toEqual(['a', 'b']);
  });

  it('lets a promise be settled from outside', async () => {
    const { promise, resolve } = deferred<number>();
    resolve(1);
    expect(await promise).toBe(1);
  });
});
