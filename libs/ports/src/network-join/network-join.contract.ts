import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../clock/clock.js';
import type { NetworkJoin, NetworkJoinEvent, NetworkJoinRequest } from './network-join.js';
import { SecretText } from './secret-text.js';

/** What an access point is not able to do, or is able to do beyond others. */
export interface NetworkJoinTraits {
  /** True where nothing is opened, so that several activations are none of each other's business. */
  readonly manyAtOnce?: boolean;
}

/** One access point under test. It outlives the processes that use it. */
export interface NetworkJoinHarness {
  /** A new process: not started, with this clock. */
  process(clock: FakeClock): NetworkJoin;
  /** What the access point itself says is open, by method; nothing if it is closed. */
  openIn(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** The behaviour of every {@link NetworkJoin}. */
export function networkJoinContract(
  name: string,
  create: () => Promise<NetworkJoinHarness>,
  traits: NetworkJoinTraits = {},
): void {
  describe(`${name} as a NetworkJoin`, () => {
    let harness: NetworkJoinHarness;
    let clock: FakeClock;
    let join: NetworkJoin;
    let events: NetworkJoinEvent[];
    const opens = traits.manyAtOnce !== true;
    const inMinutes = (minutes: number) => clock.now() + minutes * 60_000;
    const request = (more: Partial<NetworkJoinRequest> = {}): NetworkJoinRequest => ({
      activationId: 'act-1',
      method: join.methods[0] ?? 'manual',
      deadline: inMinutes(10),
      ...more,
    });
    const untilClosed = () =>
      new Promise<NetworkJoinEvent>((resolve) => {
        join.onEvent((event) => {
          if (event.kind === 'closed') resolve(event);
        });
      });

    beforeEach(async () => {
      harness = await create();
      clock = new FakeClock();
      join = harness.process(clock);
      await join.start();
      events = [];
      join.onEvent((event) => events.push(event));
    });
    afterEach(async () => {
      await join.stop();
      await harness.close();
    });

    it('has at least one method, and has nothing open at first', async () => {
      expect(join.methods.length).toBeGreaterThan(0);
      expect(await harness.openIn()).toEqual([]);
    });

    it('opens by each of its methods, tells what to do, and closes', async () => {
      for (const method of join.methods) {
        const answer = await join.open(request({ method }));
        expect(answer.method).toBe(method);
        expect(answer.instructions).toMatch(/\w/);
        expect(answer.closesAt).toBeGreaterThan(clock.now());
        expect(answer.closesAt).toBeLessThanOrEqual(inMinutes(10));
        expect(answer.network !== undefined).toBe(method === 'guest');
        if (opens) expect(await harness.openIn()).toEqual([method]);
        await join.close('act-1');
        expect(await harness.openIn()).toEqual([]);
      }
      expect(events).toEqual(join.methods.map(() => ({ activationId: 'act-1', kind: 'closed', because: 'asked' })));
    });

    it('gives the same answer again to whoever asks again', async () => {
      const first = await join.open(request());
      expect(await join.open(request())).toEqual(first);
      expect((await join.open(request())).network?.passphrase.reveal()).toBe(first.network?.passphrase.reveal());
    });

    it('closes as often as it is asked, and what was never opened', async () => {
      await join.close('act-1');
      await join.open(request());
      await join.close('act-1');
      await join.close('act-1');
      expect(await harness.openIn()).toEqual([]);
    });

    it('keeps open what another activation closes', async () => {
      const { method } = await join.open(request());
      await join.close('act-2');
      expect(await harness.openIn()).toEqual(opens ? [method] : []);
    });

    it('closes at the deadline by itself', async () => {
      await join.open(request({ deadline: inMinutes(1) }));
      const closed = untilClosed();
      clock.advance(60_000);
      expect(await closed).toEqual({ activationId: 'act-1', kind: 'closed', because: 'deadline' });
      expect(await harness.openIn()).toEqual([]);
    });

    it('opens nothing after the deadline, and nothing for longer than 15 minutes', async () => {
      await expect(join.open(request({ deadline: clock.now() }))).rejects.toMatchObject({ code: 'activation_expired' });
      expect(await harness.openIn()).toEqual([]);
      const { closesAt } = await join.open(request({ deadline: inMinutes(600) }));
      expect(closesAt).toBeLessThanOrEqual(inMinutes(15));
    });

    it('lets one of two in that come at once', async () => {
      const outcomes = await Promise.allSettled([join.open(request()), join.open(request({ activationId: 'act-2' }))]);
      const refused = outcomes.filter(({ status }) => status === 'rejected');
      expect(refused).toHaveLength(opens ? 1 : 0);
      if (opens) expect(refused[0]).toMatchObject({ reason: { code: 'another_device_is_being_added' } });
    });

    it('refuses a second method for one activation, and methods that it has not', async () => {
      await join.open(request());
      for (const method of ['wps', 'guest', 'manual'] as const) {
        if (method === join.methods[0]) continue;
        await expect(join.open(request({ method }))).rejects.toMatchObject({ code: 'conflict' });
      }
    });

    it.each(['act 1', 'a\nREMOVE wlan0', 'a/b', '', 'x'.repeat(65)])(
      'refuses the activation id %j',
      async (activationId) => {
        await expect(join.open(request({ activationId }))).rejects.toMatchObject({ code: 'invalid_identifier' });
      },
    );

    it.each(['', 'a\nwpa=0', 'a\rb', 'a\0b', '\u2028', '\ud800', 'x'.repeat(32)])(
      'refuses the name %j',
      async (ssid) => {
        await expect(join.open(request({ ssid }))).rejects.toMatchObject({ code: 'malformed_message' });
        expect(await harness.openIn()).toEqual([]);
      },
    );

    it.each(['short', 'pass\nwpa=0 word', 'passwörter', 'x'.repeat(64), '12345678\0'])(
      'refuses the password %j and does not repeat it',
      async (text) => {
        const error: unknown = await join
          .open(request({ passphrase: new SecretText(text) }))
          .catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: 'malformed_message' });
        expect(error instanceof Error ? `${error.message} ${String(error.cause)}` : '').not.toContain(text);
      },
    );

    it('takes names and passwords with characters that are special to others', async () => {
      if (!join.methods.includes('guest')) return;
      const [ssid, text] = [`"; $(id) 'é #=`, `'"\\ $(reboot) #;|=`];
      const answer = await join.open(request({ method: 'guest', ssid, passphrase: new SecretText(text) }));
      expect(answer.network?.ssid).toBe(ssid);
      expect(answer.network?.passphrase.reveal()).toBe(text);
      expect(await harness.openIn()).toEqual(['guest']);
    });

    it('makes a new password for each activation, which no log shows', async () => {
      if (!join.methods.includes('guest')) return;
      const seen = new Set<string>();
      for (const activationId of ['act-1', 'act-2', 'act-3']) {
        const answer = await join.open(request({ activationId, method: 'guest' }));
        const text = answer.network?.passphrase.reveal() ?? '';
        expect(text).toMatch(/^[!-~]{16,19}$/);
        seen.add(text);
        expect(JSON.stringify(answer)).not.toContain(text);
        expect(String(answer.network?.passphrase)).not.toContain(text);
        await join.close(activationId);
      }
      expect(seen.size).toBe(3);
    });

    it('closes when it stops, and opens nothing from then on', async () => {
      await join.open(request());
      await join.stop();
      expect(await harness.openIn()).toEqual([]);
      await expect(join.open(request())).rejects.toMatchObject({ code: 'unavailable' });
    });

    it('closes on its start what a killed process left open', async () => {
      for (const method of join.methods) {
        await join.open(request({ method }));
        const next = harness.process(clock);
        await next.start();
        expect(await harness.openIn()).toEqual([]);
        await next.stop();
        await join.close('act-1');
      }
    });
  });
}
