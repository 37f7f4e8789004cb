import { Authority, generateKeys, writePrivateKey } from '@mqtt2go/pki';

export interface TestIdentity {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS#8. */
  readonly key: string;
}

export interface TestCertificates {
  /** PEM of the CA that issued them all. */
  readonly ca: string;
  /** For listeners on 127.0.0.1 and localhost. */
  readonly server: TestIdentity;
  /** A client's (and server's) certificate with this common name. */
  service(commonName: string): Promise<TestIdentity>;
}

/** A CA with certificates for a listener and its callers. */
export async function createTestCertificates(): Promise<TestCertificates> {
  const nowMs = Date.now();
  const hosts = ['127.0.0.1', 'localhost'];
  const keys = await generateKeys();
  const authority = Authority.createRoot({ commonName: 'Test CA', keys, nowMs, validityMs: 86_400_000 });
  const serverKeys = await generateKeys();
  const server = authority.issueServer({ commonName: 'localhost', hosts, publicKey: serverKeys.publicKey, nowMs });
  return {
    ca: authority.certificate,
    server: { cert: server.pem, key: writePrivateKey(serverKeys.privateKey) },
    service: async (commonName) => {
      const { publicKey, privateKey } = await generateKeys();
      const { pem } = authority.issueService({ service: commonName, hosts, publicKey, nowMs });
      return { cert: pem, key: writePrivateKey(privateKey) };
    },
  };
}
