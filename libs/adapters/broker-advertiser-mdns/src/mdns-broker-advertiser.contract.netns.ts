import { brokerAdvertiserContract } from '@mqtt2go/ports/testing';
import { afterAll } from 'vitest';
import { MdnsHouse } from './test-support/mdns-house.js';

afterAll(() => MdnsHouse.removePrograms());

brokerAdvertiserContract('MdnsBrokerAdvertiser', async () => {
  const house = await MdnsHouse.open();
  return {
    gateway: () => house.gateway(),
    find: async () => (await house.find()).found?.port,
    close: () => house.close(),
  };
});
