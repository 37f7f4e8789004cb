import { Authority, generateKeys, writePrivateKey } from '@mqtt2go/pki';
import type { TestIdentity } from '@mqtt2go/testing';

/** The platform's three CAs, as a deployment has them. */
export interface TestPki {
  /** PEM of the root that devices and their brokers trust. */
  readonly ca: string;
  readonly servicesCa: string;
  device(id: string, serialNumber?: string): Promise<TestIdentity>;
  server(commonName: string, hosts: readonly string[]): Promise<TestIdentity>;
  service(name: string, hosts?: readonly string[]): Promise<TestIdentity>;
}

export async function createTestPki(): Promise<TestPki> {
  const nowMs = Date.now();
  const validityMs = 86_400_000;
  const rootKeys = await generateKeys();
  const root = Authority.createRoot({ commonName: 'Root', keys: rootKeys, nowMs, validityMs });
  const below = async (commonName: string): Promise<Authority> => {
    const keys = await generateKeys();
    const issued = root.issueAuthority({
      commonName,
      publicKey: keys.publicKey,
      nowMs,
      validityMs,
      pathLength: 0,
    });
    return new Authority(issued.pem, keys.privateKey, root.chain);
  };
  const issuing = await below('Issuing');
  const servers = await below('Servers');
  const servicesKeys = await generateKeys();
  const services = Authority.createRoot({ commonName: 'Services', keys: servicesKeys, nowMs, validityMs });
  const keyed = async (
    authority: Authority,
    issue: (publicKey: Awaited<ReturnType<typeof generateKeys>>['publicKey']) => { readonly pem: string },
  ): Promise<TestIdentity> => {
    const { publicKey, privateKey } = await generateKeys();
    return { cert: authority.withChain(issue(publicKey).pem), key: writePrivateKey(privateKey) };
  };
  return {
    ca: root.certificate,
    servicesCa: services.certificate,
    device: (deviceId, serialNumber) =>
      keyed(issuing, (publicKey) =>
        issuing.issueDevice({ deviceId, publicKey, nowMs, ...(serialNumber === undefined ? {} : { serialNumber }) }),
      ),
    server: (commonName, hosts) =>
      keyed(servers, (publicKey) => servers.issueServer({ commonName, hosts, publicKey, nowMs })),
    service: (service, hosts = ['127.0.0.1', 'localhost']) =>
      keyed(services, (publicKey) => services.issueService({ service, hosts, publicKey, nowMs })),
  };
}
