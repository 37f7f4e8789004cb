import {
  Authority,
  generateKeys,
  type IssuedCertificate,
  type KeyObject,
  type KeyPair,
  writePrivateKey,
} from '@mqtt2go/pki';

/** PEM, as TLS takes it. */
export interface Credentials {
  readonly cert: string;
  readonly key: string;
}

const yearMs = 365 * 24 * 60 * 60 * 1000;

async function root(commonName: string, pathLength?: number): Promise<Authority> {
  return Authority.createRoot({
    commonName,
    keys: await generateKeys(),
    nowMs: Date.now(),
    validityMs: yearMs,
    ...(pathLength !== undefined && { pathLength }),
  });
}

async function issue(
  authority: Authority,
  request: (publicKey: KeyObject, nowMs: number) => IssuedCertificate,
): Promise<Credentials> {
  const { privateKey, publicKey } = await generateKeys();
  const issued = request(publicKey, Date.now());
  return { cert: authority.withChain(issued.pem), key: writePrivateKey(privateKey) };
}

const gatewayCa = { commonName: 'Gateway CA', use: 'devices' } as const;

/** A gateway's CA in the hands of whoever has opened the box. */
export class GatewayAuthority {
  constructor(
    readonly certificate: string,
    private readonly keys: KeyPair,
  ) {}

  /** A device with its home's name in its subject. */
  device(deviceId: string): Promise<Credentials> {
    return this.#sign(new Authority(this.certificate, this.keys.privateKey), deviceId);
  }

  /** What the key can sign and the CA's certificate does not allow: a device of another home, or of none. */
  async forged(deviceId: string, homeId?: string): Promise<Credentials> {
    const { publicKey, privateKey } = this.keys;
    const nowMs = Date.now();
    const free = Authority.createRoot({ commonName: gatewayCa.commonName, keys: this.keys, nowMs, validityMs: yearMs });
    if (homeId === undefined) return this.#sign(free, deviceId);
    const { pem } = free.issueGatewayAuthority({ ...gatewayCa, homeId, publicKey, nowMs });
    return this.#sign(new Authority(pem, privateKey), deviceId);
  }

  async #sign(authority: Authority, deviceId: string): Promise<Credentials> {
    const { privateKey, publicKey } = await generateKeys();
    const { pem } = authority.issueDevice({ deviceId, publicKey, nowMs: Date.now() });
    return { cert: `${pem}${this.certificate}`, key: writePrivateKey(privateKey) };
  }
}

/** All the authorities around a platform, and one that is nobody's. */
export class Certificates {
  private constructor(
    readonly root: Authority,
    private readonly issuing: Authority,
    readonly services: Authority,
    readonly manufacturer: Authority,
    readonly otherManufacturer: Authority,
    readonly foreign: Authority,
    /** For listeners, valid for 127.0.0.1. */
    readonly server: Credentials,
  ) {}

  static async create(): Promise<Certificates> {
    const [platform, services, manufacturer, otherManufacturer, foreign, issuingKeys] = await Promise.all([
      root('root'),
      root('services'),
      root('manufacturer', 0),
      root('other manufacturer', 0),
      root('foreign'),
      generateKeys(),
    ]);
    const issuingCertificate = platform.issueAuthority({
      commonName: 'issuing',
      publicKey: issuingKeys.publicKey,
      nowMs: Date.now(),
      validityMs: yearMs,
      pathLength: 0,
    });
    const issuing = new Authority(issuingCertificate.pem, issuingKeys.privateKey);
    const server = await issue(platform, (publicKey, nowMs) =>
      platform.issueServer({ commonName: 'broker', hosts: ['127.0.0.1'], publicKey, nowMs }),
    );
    return new Certificates(platform, issuing, services, manufacturer, otherManufacturer, foreign, server);
  }

  /** A device's operational certificate. */
  device(deviceId: string, serialNumber: string, validityMs?: number, agoMs = 0): Promise<Credentials> {
    return issue(this.issuing, (publicKey, nowMs) =>
      this.issuing.issueDevice({
        deviceId,
        serialNumber,
        publicKey,
        nowMs: nowMs - agoMs,
        ...(validityMs !== undefined && { validityMs }),
      }),
    );
  }

  /** The CA of a home's gateway. */
  async gateway(homeId: string): Promise<GatewayAuthority> {
    const keys = await generateKeys();
    const { pem } = this.root.issueGatewayAuthority({
      ...gatewayCa,
      homeId,
      publicKey: keys.publicKey,
      nowMs: Date.now(),
    });
    return new GatewayAuthority(pem, keys);
  }

  /** A pre-loaded certificate, by one of the manufacturers or by somebody foreign. */
  preloaded(deviceId: string, authority: Authority = this.manufacturer): Promise<Credentials> {
    return issue(authority, (publicKey, nowMs) => authority.issuePreloadedDevice({ deviceId, publicKey, nowMs }));
  }

  service(service: string, authority: Authority = this.services): Promise<Credentials> {
    return issue(authority, (publicKey, nowMs) =>
      authority.issueService({ service, hosts: ['127.0.0.1'], publicKey, nowMs }),
    );
  }
}
