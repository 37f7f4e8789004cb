import { Clock, Mqtt2goPlugin, NetworkJoin, type PluginLifecycle } from '@mqtt2go/plugin-api';
import { Inject } from '@nestjs/common';
import { HostapdNetworkJoin } from './hostapd-network-join.js';

/** The push button and the guest network of an access point that hostapd runs on this machine. */
@Mqtt2goPlugin({
  name: 'network-join-hostapd',
  kind: 'network-join',
  api: '^1.3.0',
  providers: [
    {
      provide: NetworkJoin,
      useFactory: (clock: Clock) => new HostapdNetworkJoin(process.env, { clock }),
      inject: [Clock],
    },
  ],
  exports: [NetworkJoin],
})
export class NetworkJoinHostapdPlugin implements PluginLifecycle {
  constructor(@Inject(NetworkJoin) private readonly networkJoin: NetworkJoin) {}

  start(): Promise<void> {
    return this.networkJoin.start();
  }

  stop(): Promise<void> {
    return this.networkJoin.stop();
  }
}
