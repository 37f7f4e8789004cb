import { createPublicKey, X509Certificate as NodeCertificate } from 'node:crypto';
import { isIP } from 'node:net';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { type BaseBlock, Integer } from 'asn1js';
import { type Der, Encoded, encoded, explicit, sequence, serialNumber, signed, time } from './asn1.js';
import {
  type AlternativeNames,
  authorityConstraints,
  authorityKeyIdentifier,
  authorityUsage,
  clientPurpose,
  endEntityConstraints,
  keyIdentifier,
  nameConstraints,
  serverPurpose,
  servicePurpose,
  signatureUsage,
  subjectAltName,
  subjectKeyIdentifier,
  uriAltName,
} from './extensions.js';
import { type KeyObject, type KeyPair, publicKeyDer, Signer } from './keys.js';
import { deviceName, homeName, homeOfAuthority, localDomains, localNetworks, organization } from './homes.js';
import { encodeName, type SubjectName } from './names.js';
import { joinPem, toPem } from './pem.js';
import { type CrlEntry, revocationListDer } from './revocation-list.js';
import { createSerialNumber } from './serial-number.js';
import {
  BACKDATED_MS,
  DEVICE_VALIDITY_MS,
  ISSUING_AUTHORITY_VALIDITY_MS,
  NEVER_MS,
  REVOCATION_LIST_VALIDITY_MS,
  SERVER_VALIDITY_MS,
} from './validity.js';
import { publicKeyBits, subjectOf } from './x509-reading.js';

const version3 = encoded(explicit(0, new Integer({ value: 2 })));

export interface IssuedCertificate {
  /** Upper-case hex, 32 digits. */
  readonly serialNumber: string;
  readonly der: Der;
  /** PEM of the certificate alone. */
  readonly pem: string;
  /** Unix time in milliseconds, whole seconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

interface Issuance {
  readonly publicKey: KeyObject;
  /** The issuer's clock, Unix time in milliseconds. */
  readonly nowMs: number;
  readonly validityMs?: number;
  readonly serialNumber?: string;
}

export interface RootRequest {
  readonly commonName: string;
  readonly keys: KeyPair;
  readonly nowMs: number;
  /** `Infinity` for a CA without an end (99991231235959Z), such as a manufacturer's. */
  readonly validityMs: number;
  /** How many CAs may stand between it and an end entity; no limit if left out. */
  readonly pathLength?: number;
}

export interface AuthorityRequest extends Issuance {
  readonly commonName: string;
  readonly validityMs: number;
  readonly pathLength: number;
}

/** A CA that a gateway has the key of. */
export interface GatewayAuthorityRequest extends Issuance {
  readonly commonName: string;
  readonly homeId: string;
  /** `devices`: of one home's devices, and of no servers. `servers`: of servers in houses, and of no clients. */
  readonly use: 'devices' | 'servers';
}

export interface GatewayRequest extends Issuance {
  readonly homeId: string;
  readonly gatewayId: string;
}

export interface DeviceRequest extends Issuance {
  readonly deviceId: string;
}

export interface ServerRequest extends Issuance {
  readonly commonName: string;
  /** Names and IP addresses that clients may use; at least one. */
  readonly hosts: readonly string[];
}

/** A CA that is ready to sign: certificate parsed and key imported once. */
export class Authority {
  /** PEM. */
  readonly certificate: string;
  /** PEM certificates that go out with what this CA issues: its own and those above it, the root left out. */
  readonly chain: readonly string[];
  readonly #privateKey: KeyObject;
  readonly #signer: Signer;
  readonly #subject: Encoded;
  readonly #authorityKey: Encoded;
  readonly #notAfterMs: number;
  /** Of a gateway's CA: the home that it is confined to. */
  readonly #home: string | undefined;

  /**
   * @param certificate PEM of this CA's certificate
   * @param privateKey its key
   * @param above the chain of its issuer; leave out for a root
   * @throws Mqtt2goError `configuration_invalid` when key and certificate do not belong together
   */
  constructor(certificate: string, privateKey: KeyObject, above: readonly string[] = []) {
    const parsed = new NodeCertificate(certificate);
    if (!parsed.checkPrivateKey(privateKey)) {
      throw new Mqtt2goError(
        'configuration_invalid',
        `The key of the CA "${parsed.subject}" is not its certificate's.`,
      );
    }
    this.certificate = certificate;
    this.chain = parsed.checkIssued(parsed) ? [] : [certificate, ...above];
    this.#privateKey = privateKey;
    this.#signer = new Signer(privateKey);
    this.#subject = subjectOf(certificate);
    this.#authorityKey = authorityKeyIdentifier(keyIdentifier(publicKeyBits(publicKeyDer(parsed.publicKey))));
    this.#notAfterMs = parsed.validToDate.getTime();
    this.#home = homeOfAuthority(certificate);
  }

  /** This CA with a newer certificate, PEM, of the same key. @throws Mqtt2goError `configuration_invalid` for another key */
  withCertificate(certificate: string): Authority {
    return new Authority(certificate, this.#privateKey);
  }

  /**
   * This CA as a trust anchor of its own (PEM): the same name and key, signed by itself. For TLS servers that trust nothing but
   * what ends in a self-signed certificate: with it they trust what this CA issues, and nothing else that is below its root.
   */
  asTrustAnchor(nowMs: number): string {
    const spki = publicKeyDer(createPublicKey(this.#privateKey));
    const identifier = keyIdentifier(publicKeyBits(spki));
    const { pem } = write(this.#signer, {
      serialNumber: createSerialNumber(),
      issuer: this.#subject,
      subject: this.#subject,
      notBeforeMs: wholeSeconds(nowMs - BACKDATED_MS),
      notAfterMs: this.#notAfterMs,
      spki,
      extensions: [
        authorityConstraints(0),
        authorityUsage,
        subjectKeyIdentifier(identifier),
        authorityKeyIdentifier(identifier),
      ],
    });
    return pem;
  }

  /** A self-signed CA. */
  static createRoot(request: RootRequest): Authority {
    const signer = new Signer(request.keys.privateKey);
    const subject = encodeName({ organization, commonName: request.commonName });
    const spki = publicKeyDer(request.keys.publicKey);
    const identifier = keyIdentifier(publicKeyBits(spki));
    const issued = write(signer, {
      serialNumber: createSerialNumber(),
      issuer: subject,
      subject,
      notBeforeMs: wholeSeconds(request.nowMs - BACKDATED_MS),
      notAfterMs: endOf(request.nowMs, request.validityMs, NEVER_MS),
      spki,
      extensions: [
        authorityConstraints(request.pathLength),
        authorityUsage,
        subjectKeyIdentifier(identifier),
        authorityKeyIdentifier(identifier),
      ],
    });
    return new Authority(issued.pem, request.keys.privateKey);
  }

  /** A CA below this one. */
  issueAuthority(request: AuthorityRequest): IssuedCertificate {
    return this.#issue(request, { organization, commonName: request.commonName }, request.validityMs, [
      authorityConstraints(request.pathLength),
      authorityUsage,
    ]);
  }

  /**
   * A gateway's CA below this one, confined by what every TLS library of OpenSSL's kind checks: a CA for devices gives no other
   * subjects than those of its home, a CA for servers no other names than those of a house's own network.
   */
  issueGatewayAuthority({ use, homeId, ...request }: GatewayAuthorityRequest): IssuedCertificate {
    const confinement =
      use === 'devices'
        ? [clientPurpose, nameConstraints({ subject: encodeName(homeName(homeId)) })]
        : [serverPurpose, nameConstraints({ domains: localDomains, networks: localNetworks })];
    return this.#issue(request, { organization, commonName: request.commonName }, ISSUING_AUTHORITY_VALIDITY_MS, [
      authorityConstraints(0),
      authorityUsage,
      ...confinement,
      uriAltName(`urn:mqtt2go:home:${homeId}`),
    ]);
  }

  /** What a gateway shows to its cloud: for client authentication only. Its CN is no device's, for the colon in it. */
  issueGateway({ homeId, gatewayId, ...request }: GatewayRequest): IssuedCertificate {
    const commonName = `gateway:${keyIdentifier(Buffer.from(`${homeId}/${gatewayId}`)).toString('hex')}`;
    return this.#issue(request, { organization, commonName }, SERVER_VALIDITY_MS, [
      endEntityConstraints,
      signatureUsage,
      clientPurpose,
      uriAltName(`urn:mqtt2go:gateway:${homeId}/${gatewayId}`),
    ]);
  }

  /** A device's operational certificate: an 802.1AR LDevID, for client authentication only. */
  issueDevice(request: DeviceRequest): IssuedCertificate {
    const serialNumber = request.serialNumber ?? createSerialNumber();
    const names = [`urn:mqtt2go:device:${request.deviceId}`, certificateUri('device', request.deviceId, serialNumber)];
    return this.#issue(
      { ...request, serialNumber },
      deviceName(request.deviceId, this.#home),
      DEVICE_VALIDITY_MS,
      deviceExtensions(names),
    );
  }

  /**
   * A device's pre-loaded certificate: an 802.1AR IDevID, which does not expire. The device type, where given, is
   * the subject's organizational unit.
   */
  issuePreloadedDevice(request: DeviceRequest & { readonly deviceType?: string }): IssuedCertificate {
    const subject = {
      organization,
      ...(request.deviceType === undefined ? {} : { organizationalUnit: request.deviceType }),
      commonName: request.deviceId,
      serialNumber: request.deviceId,
    };
    const names = [`urn:mqtt2go:device:${request.deviceId}`];
    return this.#issue(request, subject, Number.POSITIVE_INFINITY, deviceExtensions(names), NEVER_MS);
  }

  /** A TLS server's certificate, for server authentication only. */
  issueServer(request: ServerRequest): IssuedCertificate {
    return this.#issue(request, { organization, commonName: request.commonName }, SERVER_VALIDITY_MS, [
      endEntityConstraints,
      signatureUsage,
      serverPurpose,
      subjectAltName(hostNames(request.hosts)),
    ]);
  }

  /** A service's certificate: client and server; its CN is the service's name. */
  issueService(request: Issuance & { readonly service: string; readonly hosts: readonly string[] }): IssuedCertificate {
    const serialNumber = request.serialNumber ?? createSerialNumber();
    const uris = [`urn:mqtt2go:service:${request.service}`, certificateUri('service', request.service, serialNumber)];
    return this.#issue(
      { ...request, serialNumber },
      { organization, commonName: request.service },
      SERVER_VALIDITY_MS,
      [endEntityConstraints, signatureUsage, servicePurpose, subjectAltName({ ...hostNames(request.hosts), uris })],
    );
  }

  /**
   * A certificate revocation list (PEM, version 2).
   * @param request.number greater than that of each list before
   */
  makeRevocationList(request: {
    readonly entries: readonly CrlEntry[];
    readonly number: number;
    readonly nowMs: number;
    readonly validityMs?: number;
  }): { pem: string; nextUpdateMs: number } {
    const nextUpdateMs = wholeSeconds(request.nowMs + (request.validityMs ?? REVOCATION_LIST_VALIDITY_MS));
    const der = revocationListDer(this.#signer, this.#subject, this.#authorityKey, {
      ...request,
      thisUpdateMs: wholeSeconds(request.nowMs),
      nextUpdateMs,
    });
    return { pem: toPem('X509 CRL', der), nextUpdateMs };
  }

  /** What goes to a TLS server or a device: the certificate and the chain up to, but without, the root. */
  withChain(certificate: string): string {
    return joinPem([certificate, ...this.chain]);
  }

  /** Nothing outlives its issuer, except what does not expire at all. */
  #issue(
    request: Issuance,
    subject: SubjectName,
    defaultValidityMs: number,
    extensions: readonly BaseBlock[],
    latestMs = this.#notAfterMs,
  ): IssuedCertificate {
    const spki = publicKeyDer(request.publicKey);
    return write(this.#signer, {
      serialNumber: request.serialNumber ?? createSerialNumber(),
      issuer: this.#subject,
      subject: encodeName(subject),
      notBeforeMs: wholeSeconds(request.nowMs - BACKDATED_MS),
      notAfterMs: endOf(request.nowMs, request.validityMs ?? defaultValidityMs, latestMs),
      spki,
      extensions: [...extensions, subjectKeyIdentifier(keyIdentifier(publicKeyBits(spki))), this.#authorityKey],
    });
  }
}

function deviceExtensions(names: readonly string[]): BaseBlock[] {
  return [endEntityConstraints, signatureUsage, clientPurpose, uriAltName(...names)];
}

/**
 * The second URI of operational and service certificates: what the holder is, its name, and this certificate. For
 * brokers that hand on one name of a certificate and nothing else: a CN alone tells neither a device from a service
 * nor a certificate from the one that took its place.
 */
function certificateUri(kind: 'device' | 'service', name: string, serialNumber: string): string {
  return `urn:mqtt2go:${kind}:${name}:${serialNumber}`;
}

function hostNames(hosts: readonly string[]): AlternativeNames {
  return { dnsNames: hosts.filter((host) => isIP(host) === 0), ipAddresses: hosts.filter((host) => isIP(host) !== 0) };
}

const wholeSeconds = (timeMs: number) => Math.floor(timeMs / 1000) * 1000;
const endOf = (nowMs: number, validityMs: number, latestMs: number) =>
  Math.min(wholeSeconds(nowMs + validityMs), latestMs, NEVER_MS);

function write(
  signer: Signer,
  content: {
    serialNumber: string;
    issuer: Encoded;
    subject: Encoded;
    notBeforeMs: number;
    notAfterMs: number;
    spki: Uint8Array;
    extensions: readonly BaseBlock[];
  },
): IssuedCertificate {
  const toBeSigned = sequence(
    version3,
    serialNumber(content.serialNumber),
    signer.algorithm,
    content.issuer,
    sequence(time(content.notBeforeMs), time(content.notAfterMs)),
    content.subject,
    new Encoded(content.spki),
    explicit(3, sequence(...content.extensions)),
  );
  const der = signed(toBeSigned, signer);
  return {
    serialNumber: content.serialNumber,
    der,
    pem: toPem('CERTIFICATE', der),
    notBeforeMs: content.notBeforeMs,
    notAfterMs: content.notAfterMs,
  };
}
