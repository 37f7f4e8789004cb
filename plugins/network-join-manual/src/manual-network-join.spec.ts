import { networkJoinContract } from '@mqtt2go/ports/testing';
import { ManualNetworkJoin } from './manual-network-join.js';

networkJoinContract(
  'ManualNetworkJoin',
  async () => ({
    process: (clock) => new ManualNetworkJoin({ clock, tickMs: 5 }),
    openIn: async () => [],
    close: async () => undefined,
  }),
  { manyAtOnce: true },
);
