import { describe, expect, it } from 'vitest';
import { checkBothSides, freeze } from './move-steps.js';
import type { Move } from './moves-repository.js';
import type { Side } from './side.js';

const move: Move = {
  moveId: '10000000-0000-4000-8000-000000000001',
  homeId: 'home-1',
  to: 'remote',
  state: 'requested',
  reason: null,
  detail: null,
  devices: 0,
  copied: 0,
  awaited: 0,
  brokerHost: null,
  brokerPort: null,
  requestedAt: new Date(0),
  deadline: new Date(0),
  changedAt: new Date(0),
};

/** One side, as much of it as is asked before a home is copied. */
class SideStandIn {
  readonly steps: string[] = [];

  constructor(
    readonly home: Awaited<ReturnType<Side['standing']>>,
    public ofGateway = 0,
  ) {}

  get side(): Side {
    const never = (): never => {
      throw new Error('too early');
    };
    return {
      standing: async () => this.home,
      gatewayDevices: async () => ({ devices: this.ofGateway }),
      step: async ({ step }) => {
        this.steps.push(step);
        return { standing: 'leaving' };
      },
      exportPage: never,
      importPage: never,
      address: never,
      awaited: never,
      redirect: never,
      relocate: never,
      forgetRelocations: never,
      takeRelayed: never,
      deliver: never,
    };
  }
}

const sidesOf = (source: SideStandIn, target: SideStandIn) => ({
  source: source.side,
  target: target.side,
  cloud: target.side,
});
const house = (ofGateway: number) =>
  new SideStandIn({ standing: 'here', devices: 2, controllers: 1, trustsGateways: true }, ofGateway);
const cloud = (trustsGateways: boolean) => new SideStandIn({ devices: 0, controllers: 0, trustsGateways });

describe('a home whose devices have certificates of its gateway', () => {
  it('is refused by a broker that does not trust those, before anything is asked of either side', async () => {
    const [source, target] = [house(2), cloud(false)];
    await expect(checkBothSides(move, sidesOf(source, target))).rejects.toMatchObject({
      code: 'gateway_not_trusted',
      message: expect.stringContaining('2 of its devices'),
    });
    expect([source.steps, target.steps]).toEqual([[], []]);
  });

  it('goes to one that does', async () => {
    expect(await checkBothSides(move, sidesOf(house(2), cloud(true)))).toEqual({ devices: 2 });
  });

  it('is refused once more when its first device has come while it was being frozen', async () => {
    const [source, target] = [house(0), cloud(false)];
    expect(await checkBothSides(move, sidesOf(source, target))).toEqual({ devices: 2 });
    await freeze(move, sidesOf(source, target));
    source.ofGateway = 1;
    await expect(freeze(move, sidesOf(source, target))).rejects.toMatchObject({ code: 'gateway_not_trusted' });
    expect(target.steps).toEqual([]);
  });
});
