import { Clock, Mqtt2goPlugin, NetworkJoin, type PluginLifecycle } from '@mqtt2go/plugin-api';
import { Inject } from '@nestjs/common';
import { ManualNetworkJoin } from './manual-network-join.js';

/** Tells the person what to press or type. */
@Mqtt2goPlugin({
  name: 'network-join-manual',
  kind: 'network-join',
  api: '^1.3.0',
  providers: [
    { provide: NetworkJoin, useFactory: (clock: Clock) => new ManualNetworkJoin({ clock }), inject: [Clock] },
  ],
  exports: [NetworkJoin],
})
export class NetworkJoinManualPlugin implements PluginLifecycle {
  constructor(@Inject(NetworkJoin) private readonly networkJoin: NetworkJoin) {}

  start(): Promise<void> {
    return this.networkJoin.start();
  }

  stop(): Promise<void> {
    return this.networkJoin.stop();
  }
}
