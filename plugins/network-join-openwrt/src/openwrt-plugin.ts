import { Clock, Mqtt2goPlugin, NetworkJoin, type PluginLifecycle } from '@mqtt2go/plugin-api';
import { Inject } from '@nestjs/common';
import { OpenwrtNetworkJoin } from './openwrt-network-join.js';

/** The push button and the guest network of an OpenWrt router, over its ubus. */
@Mqtt2goPlugin({
  name: 'network-join-openwrt',
  kind: 'network-join',
  api: '^1.3.0',
  providers: [
    {
      provide: NetworkJoin,
      useFactory: (clock: Clock) => new OpenwrtNetworkJoin(process.env, { clock }),
      inject: [Clock],
    },
  ],
  exports: [NetworkJoin],
})
export class NetworkJoinOpenwrtPlugin implements PluginLifecycle {
  constructor(@Inject(NetworkJoin) private readonly networkJoin: NetworkJoin) {}

  start(): Promise<void> {
    return this.networkJoin.start();
  }

  stop(): Promise<void> {
    return this.networkJoin.stop();
  }
}
