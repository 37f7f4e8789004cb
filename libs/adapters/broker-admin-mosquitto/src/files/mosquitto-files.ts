import type { BusRequest } from '@mqtt2go/access';
import { defaultMosquittoLimits, type MosquittoLimits, type MosquittoRole } from './limits.js';
import { brokerFileNames, type MosquittoPorts, mosquittoConf } from './mosquitto-conf.js';
import { servicesAcl } from './services-acl.js';

export interface MosquittoFilesOptions {
  /** The broker's, such as `home-0`. */
  readonly name: string;
  readonly role: MosquittoRole;
  /** What can be asked on the bus; needed for its broker. */
  readonly contracts?: readonly BusRequest[];
  /** Whether a home broker trusts, beside its own devices' CA, those in its trust folder. */
  readonly gateways?: boolean;
  readonly limits?: Partial<MosquittoLimits>;
  readonly ports?: Partial<MosquittoPorts>;
  /** Where the broker sees the folder that these files are in. */
  readonly folder?: string;
  readonly dataFolder?: string;
  readonly pluginFolder?: string;
}

const defaultPorts: Readonly<Record<MosquittoRole, MosquittoPorts>> = {
  home: { devices: 8883, controllers: 8889, controllersWebSocket: 8884, services: 8887 },
  activation: { devices: 8885, controllers: 0, controllersWebSocket: 0, services: 8888 },
  bus: { devices: 0, controllers: 0, controllersWebSocket: 0, services: 8886 },
};

/**
 * What a broker is configured by, by name: `mosquitto.conf` and the services' ACL. Certificates, keys and the access
 * snapshot go beside them by {@link brokerFileNames}. Ports that a broker's role does not have are ignored.
 */
export function mosquittoFiles(options: MosquittoFilesOptions): Readonly<Record<string, string>> {
  const { name, role, contracts = [], limits, ports } = options;
  return {
    'mosquitto.conf': mosquittoConf({
      name,
      role,
      gateways: options.gateways ?? false,
      limits: { ...defaultMosquittoLimits[role], ...limits },
      ports: { ...defaultPorts[role], ...ports },
      folder: options.folder ?? '/mosquitto/config',
      dataFolder: options.dataFolder ?? '/mosquitto/data',
      pluginFolder: options.pluginFolder ?? '/usr/lib',
    }),
    [brokerFileNames.servicesAcl]: servicesAcl(role, contracts),
  };
}
