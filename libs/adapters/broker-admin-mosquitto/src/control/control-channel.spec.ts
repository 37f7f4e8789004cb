import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ScriptedBroker } from '../test-support/scripted-broker.js';
import type { Command } from './commands.js';
import { ControlChannel } from './control-channel.js';

let broker: ScriptedBroker;
let channel: ControlChannel;

const open = (timeoutMs = 5_000): ControlChannel =>
  new ControlChannel(broker.link, { timeoutMs, maxCommandsPerMessage: 32, onListening: () => undefined });

beforeEach(() => {
  broker = new ScriptedBroker();
  channel = open();
});
afterEach(() => channel.close());

const remove = (username: string): Command => ({ command: 'deleteClient', username });
const named = (index: number) => broker.messages[index]?.map(({ username }) => username);
const published = (count: number): Promise<void> =>
  new Promise((resolve) => {
    const look = (): void => {
      if (broker.messages.length < count) return;
      broker.off('published', look);
      resolve();
    };
    broker.on('published', look);
    look();
  });
const replyTo = (index: number): void => broker.reply(broker.messages[index] ?? []);

describe('ControlChannel', () => {
  it('sends what comes while a message is under way as the next one, in order', async () => {
    broker.connect();
    const first = channel.send([remove('a')]);
    await published(1);
    const others = ['b', 'c', 'd'].map((name) => channel.send([remove(name)]));
    replyTo(0);
    await first;
    await published(2);
    expect(named(0)).toEqual(['a']);
    expect(named(1)).toEqual(['b', 'c', 'd']);
    replyTo(1);
    await Promise.all(others);
  });

  it('gives each caller the answers to its own commands', async () => {
    broker.answer = ({ username }) => ({ error: `none such as ${String(username)}` });
    broker.isPrompt = true;
    broker.connect();
    const [one, other] = await Promise.all([channel.send([remove('a'), remove('b')]), channel.send([remove('c')])]);
    expect(one?.map(({ error }) => error)).toEqual(['none such as a', 'none such as b']);
    expect(other?.map(({ error }) => error)).toEqual(['none such as c']);
  });

  it('keeps commands of one caller in one message, and messages small', async () => {
    broker.isPrompt = true;
    broker.connect();
    const batches = Array.from({ length: 30 }, (_one, at) => [remove(`${at}a`), remove(`${at}b`), remove(`${at}c`)]);
    await Promise.all(batches.map((batch) => channel.send(batch)));
    expect(broker.messages.length).toBeGreaterThan(1);
    for (const message of broker.messages) expect(message.length % 3).toBe(0);
    expect(broker.messages.flat().map(({ username }) => username)).toEqual(
      batches.flat().map((command) => ('username' in command ? command.username : '')),
    );
    await channel.send([{ command: 'createRole', rolename: 'x'.repeat(40_000), acls: [] }, remove('a')]);
    expect(broker.messages.at(-1)?.length).toBe(2);
  });

  it('sends again what was under way when the connection broke', async () => {
    broker.connect();
    const sent = channel.send([remove('a')]);
    await published(1);
    broker.disconnect();
    const later = channel.send([remove('b')]);
    broker.connect();
    await published(2);
    expect(named(1)).toEqual(['a']);
    replyTo(1);
    await sent;
    await published(3);
    replyTo(2);
    await later;
    expect(channel.connection).toBe(2);
  });

  it('takes no answer to others, and no nonsense, for its own', async () => {
    broker.connect();
    const sent = channel.send([remove('a')]);
    await published(1);
    broker.say({ responses: [{ command: 'deleteClient', correlationData: 'someone.1.0' }] });
    broker.say('nonsense');
    broker.emit('message', 'some/topic', Buffer.from('x'));
    broker.answer = () => ({ error: 'mine' });
    replyTo(0);
    expect((await sent)[0]?.error).toBe('mine');
  });

  it('rejects what is not answered in time, and goes on', async () => {
    await channel.close();
    channel = open(20);
    broker.connect();
    await expect(channel.send([remove('a')])).rejects.toMatchObject({ code: 'unavailable' });
    broker.isPrompt = true;
    await channel.send([remove('b')]);
    broker.disconnect();
    await expect(channel.send([remove('c')])).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('lets commands wait while those before them are answered', async () => {
    await channel.close();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    channel = open(100);
    broker.connect();
    const batches = Array.from({ length: 4 }, (_one, at) =>
      channel.send(Array.from({ length: 32 }, () => remove(`${at}`))),
    );
    for (let at = 0; at < batches.length; at += 1) {
      await published(at + 1);
      await vi.advanceTimersByTimeAsync(60);
      replyTo(at);
    }
    await Promise.all(batches);
    vi.useRealTimers();
  });

  it('rejects what waits when it is closed', async () => {
    const waiting = channel.send([remove('a')]);
    const refusal = waiting.catch((error: unknown) => error);
    await channel.close();
    expect(await refusal).toMatchObject({ code: 'unavailable' });
    await expect(channel.send([remove('b')])).rejects.toMatchObject({ code: 'unavailable' });
  });
});
