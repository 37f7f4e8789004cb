import { GenericContainer } from 'testcontainers';

export interface LocalOptions {
  /** Networks by name, the first being the one that it is made in. */
  readonly networks: readonly string[];
  readonly aliases: readonly string[];
  readonly readOnly: boolean;
}

/**
 * A container as this project's tests want it: ports on loopback only, in its own networks only (by aliases,
 * Testcontainers would add it to the engine's default network), with a root file system that may be read-only.
 */
export class LocalContainer extends GenericContainer {
  constructor(
    image: string,
    private readonly local: LocalOptions,
  ) {
    super(image);
    const [first] = local.networks;
    if (first !== undefined) this.withNetworkMode(first);
  }

  protected override async beforeContainerCreated(): Promise<void> {
    const [first] = this.local.networks;
    if (first !== undefined) {
      this.createOpts.NetworkingConfig = { EndpointsConfig: { [first]: { Aliases: [...this.local.aliases] } } };
    }
    this.hostConfig.ReadonlyRootfs = this.local.readOnly;
    const bindings: Record<string, { HostPort: string }[]> = this.hostConfig.PortBindings ?? {};
    this.hostConfig.PortBindings = Object.fromEntries(
      Object.entries(bindings).map(([port, hosts]) => [port, hosts.map((host) => ({ ...host, HostIp: '127.0.0.1' }))]),
    );
  }

  protected override async containerCreated(containerId: string): Promise<void> {
    const { getContainerRuntimeClient } = await import('testcontainers');
    const { container, network } = await getContainerRuntimeClient();
    for (const name of this.local.networks.slice(1)) {
      await container.connectToNetwork(container.getById(containerId), network.getById(name), [...this.local.aliases]);
    }
  }
}
