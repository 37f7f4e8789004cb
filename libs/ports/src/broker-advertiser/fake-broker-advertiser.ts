import { StatefulBrokerAdvertiser } from './advertiser-status.js';

/** A house's network in memory, with a name that one gateway at a time can have. */
export class FakeHouseNetwork {
  readonly gateways: FakeBrokerAdvertiser[] = [];

  /** The port that devices find. */
  get found(): number | undefined {
    return this.holder?.port;
  }

  /** Who came first. */
  get holder(): FakeBrokerAdvertiser | undefined {
    return this.gateways[0];
  }

  settle(): void {
    for (const gateway of this.gateways) gateway.settle();
  }
}

/** Advertises in a network that is not there, for tests. */
export class FakeBrokerAdvertiser extends StatefulBrokerAdvertiser {
  port: number | undefined;

  constructor(
    readonly network: FakeHouseNetwork = new FakeHouseNetwork(),
    /** As others see it. */
    readonly address = `192.0.2.${network.gateways.length + 1}`,
  ) {
    super();
  }

  override async start(port: number): Promise<void> {
    this.port = port;
    if (!this.network.gateways.includes(this)) this.network.gateways.push(this);
    this.network.settle();
  }

  override async stop(): Promise<void> {
    const place = this.network.gateways.indexOf(this);
    if (place >= 0) this.network.gateways.splice(place, 1);
    this.become({ kind: 'off', reason: 'stopped' });
    this.network.settle();
  }

  /** Finds out how things are in the network. */
  settle(): void {
    const [holder, ...others] = this.network.gateways;
    if (holder === this) this.become({ kind: 'advertised', rivals: others.map(({ address }) => address) });
    else this.become({ kind: 'name-taken', holders: holder === undefined ? [] : [holder.address] });
  }
}
