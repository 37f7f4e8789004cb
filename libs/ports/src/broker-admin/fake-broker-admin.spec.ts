import { FakeClock } from '../clock/clock.js';
import { brokerAdminContract } from './broker-admin.contract.js';
import { FakeBrokerAdmin } from './fake-broker-admin.js';

brokerAdminContract('FakeBrokerAdmin', async () => {
  const admin = new FakeBrokerAdmin({ clock: new FakeClock() });
  return {
    admin,
    connect: async (connection) => {
      const session = admin.connect(connection);
      return session && { maySubscribe: async (filter) => session.may('subscribe', filter), closed: session.closed };
    },
    restart: () => admin.loseCopy(),
    close: async () => undefined,
  };
});
