import { Authority, generateKeys, type KeyPair, writePrivateKey } from '@mqtt2go/pki';

/** A certificate with its key, PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

const yearMs = 365 * 86_400_000;

/** Real certificates of the authorities that stand around a Discovery server. */
export class TestIdentities {
  private constructor(
    readonly root: Authority,
    readonly servicesCa: Authority,
    readonly foreignCa: Authority,
    readonly manufacturer: Authority,
    private readonly keys: KeyPair,
  ) {}

  static async create(): Promise<TestIdentities> {
    const [root, services, foreign, manufacturer] = await Promise.all(
      ['root', 'services', 'foreign', 'manufacturer'].map(async (commonName) =>
        Authority.createRoot({ commonName, keys: await generateKeys(), nowMs: Date.now(), validityMs: yearMs }),
      ),
    );
    if (!root || !services || !foreign || !manufacturer) throw new Error('unreachable: four names, four authorities');
    return new TestIdentities(root, services, foreign, manufacturer, await generateKeys());
  }

  server(): Identity {
    return this.identity(
      this.root.issueServer({
        commonName: 'discovery',
        hosts: ['127.0.0.1'],
        publicKey: this.keys.publicKey,
        nowMs: Date.now(),
      }),
    );
  }

  service(service: string, authority: Authority = this.servicesCa): Identity {
    return this.identity(
      authority.issueService({ service, hosts: ['127.0.0.1'], publicKey: this.keys.publicKey, nowMs: Date.now() }),
    );
  }

  device(deviceId: string, authority: Authority = this.root): Identity {
    return this.identity(authority.issueDevice({ deviceId, publicKey: this.keys.publicKey, nowMs: Date.now() }));
  }

  private identity({ pem }: { readonly pem: string }): Identity {
    return { cert: pem, key: writePrivateKey(this.keys.privateKey) };
  }
}
