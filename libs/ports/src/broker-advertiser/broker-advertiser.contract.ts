import { afterEach, describe, expect, it } from 'vitest';
import { advertiserProblem } from './advertiser-status.js';
import type { AdvertiserState, BrokerAdvertiser } from './broker-advertiser.js';

/** A network with room for some gateways, each on a machine of its own, and a device that looks for them. */
export interface AdvertiserStage {
  /** Of one more machine; not started. */
  gateway(): Promise<BrokerAdvertiser>;
  /** The port at MQTT2GO.local that a device finds now. */
  find(): Promise<number | undefined>;
  close(): Promise<void>;
}

const patienceMs = 20_000;

/** Resolves with the first state from now on that `is`; the one of now counts. */
export function becomes(
  advertiser: BrokerAdvertiser,
  is: (state: AdvertiserState) => boolean,
  timeoutMs = patienceMs,
): Promise<AdvertiserState> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      stop();
      reject(new Error(`still ${JSON.stringify(advertiser.state)} after ${timeoutMs} ms`));
    }, timeoutMs);
    const look = (state: AdvertiserState): void => {
      if (!is(state)) return;
      clearTimeout(late);
      stop();
      resolve(state);
    };
    const stop = advertiser.onChange(look);
    look(advertiser.state);
  });
}

/** What every adapter does. */
export function brokerAdvertiserContract(name: string, open: () => Promise<AdvertiserStage>): void {
  describe(`${name}, as a BrokerAdvertiser`, () => {
    let stage: AdvertiserStage;
    const started = async (port: number): Promise<BrokerAdvertiser> => {
      const gateway = await stage.gateway();
      await gateway.start(port);
      return gateway;
    };
    const has = (kind: AdvertiserState['kind']) => (state: AdvertiserState) => state.kind === kind;

    afterEach(() => stage.close());

    it('tells nothing before its start and after its end', async () => {
      stage = await open();
      const gateway = await stage.gateway();
      expect(gateway.state.kind).toBe('off');
      await gateway.stop();
      expect(await stage.find()).toBeUndefined();
      await gateway.start(8883);
      await becomes(gateway, has('advertised'));
      await gateway.stop();
      expect(gateway.state.kind).toBe('off');
      expect(await stage.find()).toBeUndefined();
    });

    it('is found at its port, and again after another start', async () => {
      stage = await open();
      const gateway = await started(8883);
      expect(await becomes(gateway, has('advertised'))).toEqual({ kind: 'advertised', rivals: [] });
      expect(advertiserProblem(gateway.state)).toBeUndefined();
      expect(await stage.find()).toBe(8883);
      await gateway.stop();
      await gateway.start(18_883);
      await becomes(gateway, has('advertised'));
      expect(await stage.find()).toBe(18_883);
    });

    it('leaves the name to the one that has it, and both say so', async () => {
      stage = await open();
      const first = await started(8883);
      await becomes(first, has('advertised'));
      const second = await started(18_883);
      const waiting = await becomes(second, (state) => state.kind === 'name-taken' && state.holders.length > 0);
      expect(advertiserProblem(waiting)?.code).toBe('gateway_name_taken');
      const troubled = await becomes(first, (state) => state.kind === 'advertised' && state.rivals.length > 0);
      expect(advertiserProblem(troubled)?.code).toBe('gateway_name_taken');
      expect(await stage.find()).toBe(8883);
    });

    it('takes the name when the other says goodbye', async () => {
      stage = await open();
      const first = await started(8883);
      await becomes(first, has('advertised'));
      const second = await started(18_883);
      await becomes(second, has('name-taken'));
      await first.stop();
      await becomes(second, has('advertised'));
      expect(await stage.find()).toBe(18_883);
    });
  });
}
