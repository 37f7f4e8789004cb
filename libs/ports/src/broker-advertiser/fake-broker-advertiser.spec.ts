import { brokerAdvertiserContract } from './broker-advertiser.contract.js';
import { FakeBrokerAdvertiser, FakeHouseNetwork } from './fake-broker-advertiser.js';

brokerAdvertiserContract('FakeBrokerAdvertiser', async () => {
  const network = new FakeHouseNetwork();
  return {
    gateway: async () => new FakeBrokerAdvertiser(network),
    find: async () => network.found,
    close: async () => undefined,
  };
});
