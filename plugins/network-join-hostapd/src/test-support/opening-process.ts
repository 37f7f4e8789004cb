/** A gateway that opens a guest network, says so, and is killed then. */
import { HostapdNetworkJoin } from '../hostapd-network-join.js';

const join = new HostapdNetworkJoin(process.env);
await join.start();
await join.open({ activationId: 'act-1', method: 'guest', deadline: Date.now() + 600_000 });
process.stdout.write('open\n');
