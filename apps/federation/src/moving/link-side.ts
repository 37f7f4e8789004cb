import type { CloudLink } from '../link/cloud-link.js';
import { type Side, sideContracts } from './side.js';

/** The mover tries again by itself, and wants to know soon. */
const options = { retries: 0, timeoutMs: 20_000 };

/** The cloud, over the gateway's link. */
export function linkSide(link: CloudLink): Side {
  return {
    standing: (input) => link.call(sideContracts.standing, input, options),
    gatewayDevices: (input) => link.call(sideContracts.gatewayDevices, input, options),
    step: (input) => link.call(sideContracts.step, input, options),
    exportPage: (input) => link.call(sideContracts.exportPage, input, options),
    importPage: (input) => link.call(sideContracts.importPage, input, options),
    address: (input) => link.call(sideContracts.address, input, options),
    awaited: (input) => link.call(sideContracts.awaited, input, options),
    redirect: (input) => link.call(sideContracts.redirect, input, options),
    relocate: (input) => link.call(sideContracts.relocate, input, options),
    forgetRelocations: (input) => link.call(sideContracts.forgetRelocations, input, options),
    takeRelayed: (input) => link.call(sideContracts.takeRelayed, input, options),
    deliver: (input) => link.call(sideContracts.deliver, input, options),
  };
}
