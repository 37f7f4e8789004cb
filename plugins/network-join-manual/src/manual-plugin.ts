import { Mqtt2goPlugin, NetworkJoin, type PluginLifecycle } from '@mqtt2go/plugin-api';
import { Inject } from '@nestjs/common';
import { ManualNetworkJoin } from './manual-network-join.js';

/** Tells the person what to press or type. */
@Mqtt2goPlugin({
  name: 'network-join-manual',
  kind: 'network-join',
  api: '^1.1.0',
  providers: [{ provide: NetworkJoin, useFactory: () => new ManualNetworkJoin() }],
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
