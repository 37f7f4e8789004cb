import { createServer } from 'node:net';
import { type PlatformConfig, type PortConfig, runnableServices } from '@mqtt2go/config';
import { Mqtt2goError } from '@mqtt2go/protocol';

/** A port that is going to be opened, and the variable that moves it. */
interface PlannedPort {
  readonly name: keyof PortConfig;
  readonly what: string;
  readonly variable: string;
  readonly host: string;
  readonly port: number;
}

/**
 * Tries all ports before anything is started, so that one in use costs nobody a wait.
 * @returns the ports, with one that is free now for each 0
 * @throws Mqtt2goError `port_in_use`
 */
export async function choosePorts(config: PlatformConfig): Promise<PortConfig> {
  const chosen = { ...config.ports };
  const choose = async (planned: PlannedPort): Promise<void> => {
    chosen[planned.name] = await tryPort(planned);
  };
  await Promise.all(plannedPorts(config).map(choose));
  // Without a Discovery server everybody comes to the home's port.
  return config.profile.discovery ? chosen : { ...chosen, activation: chosen.home };
}

async function tryPort({ host, port, what, variable }: PlannedPort): Promise<number> {
  const server = createServer();
  try {
    await new Promise<void>((done, fail) => server.once('error', fail).listen(port, host, done));
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'EADDRINUSE')
      throw new Mqtt2goError(
        'port_in_use',
        `Port ${port} (${what}) is in use by another program. Stop it, or set ${variable} to another port.`,
        { cause },
      );
    throw new Mqtt2goError(
      'configuration_invalid',
      `Port ${port} (${what}) cannot be opened on ${host}: ${code === 'EACCES' ? 'not permitted' : String(code)}. Set ${variable} or MQTT2GO_BIND.`,
      { cause },
    );
  }
  const address = server.address();
  await new Promise((done) => server.close(done));
  return address === null || typeof address === 'string' ? port : address.port;
}

/** The ports that a gateway with this configuration opens. */
function plannedPorts(config: PlatformConfig): PlannedPort[] {
  const { bind, managementBind, ports, services, profile } = config;
  const loopback = '127.0.0.1';
  const planned: PlannedPort[] = [
    { name: 'home', what: 'home broker', variable: 'MQTT2GO_HOME_PORT', host: bind, port: ports.home },
    {
      name: 'homeWss',
      what: 'home broker over WebSocket',
      variable: 'MQTT2GO_HOME_WSS_PORT',
      host: bind,
      port: ports.homeWss,
    },
    { name: 'bus', what: 'service bus', variable: 'MQTT2GO_BUS_PORT', host: loopback, port: ports.bus },
    { name: 'health', what: 'health and metrics', variable: 'MQTT2GO_HEALTH_PORT', host: loopback, port: ports.health },
  ];
  if (profile.discovery)
    planned.push({
      name: 'activation',
      what: 'activation broker',
      variable: 'MQTT2GO_ACTIVATION_PORT',
      host: bind,
      port: ports.activation,
    });
  if (profile.discovery && services.includes('discovery'))
    planned.push({
      name: 'discovery',
      what: 'Discovery REST',
      variable: 'MQTT2GO_DISCOVERY_PORT',
      host: bind,
      port: ports.discovery,
    });
  if (services.includes('federation') && profile.homeBroker === 'remote')
    planned.push({
      name: 'federation',
      what: 'gateways’ door',
      variable: 'MQTT2GO_FEDERATION_PORT',
      host: bind,
      port: ports.federation,
    });
  if (services.includes('federation') && profile.homeBroker === 'local')
    planned.push({
      name: 'management',
      what: 'operator’s REST',
      variable: 'MQTT2GO_MANAGEMENT_PORT',
      host: managementBind,
      port: ports.management,
    });
  if (services.length < runnableServices.length)
    planned.push(
      {
        name: 'homeServices',
        what: 'home broker for services',
        variable: 'MQTT2GO_HOME_SERVICES_PORT',
        host: loopback,
        port: ports.homeServices,
      },
      {
        name: 'activationServices',
        what: 'activation broker for services',
        variable: 'MQTT2GO_ACTIVATION_SERVICES_PORT',
        host: loopback,
        port: ports.activationServices,
      },
    );
  return planned;
}
