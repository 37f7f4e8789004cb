import { randomBytes } from 'node:crypto';
import { writeAudit } from '@mqtt2go/audit';
import { Authority, ISSUING_AUTHORITY_VALIDITY_MS, type KeyPair, ROOT_VALIDITY_MS, type SecretBox } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { DataSource, EntityManager } from 'typeorm';
import { type Enrolling, enrolOnce, isEnrolmentBegun } from '../gateway/enrolment.js';
import { schema } from '../schema.js';
import { AuthorityCertificate } from './authority-certificate.entity.js';
import { openKeys } from './authority-keys.js';
import { PostgresKeyStore } from './postgres-key-store.js';

const roles = ['root', 'issuing', 'server', 'services'] as const;
type Role = (typeof roles)[number];

/**
 * The platform's CAs, their keys in memory. A gateway that is enrolled at a cloud has the certificate of the operator's root,
 * and below it CAs of its own.
 */
export class Authorities {
  constructor(
    /** Above `issuing` and `server`; what devices carry as `ca.crt`. */
    readonly root: Authority | Pick<Authority, 'certificate'>,
    private issuingNow: Authority,
    private serverNow: Authority,
    /** A root of its own: what it issues is of no worth to a device, and what the others issue of none to a service. */
    readonly services: Authority,
  ) {}

  /** Of devices' operational certificates. */
  get issuing(): Authority {
    return this.issuingNow;
  }

  /** Of the servers that devices and controllers meet. */
  get server(): Authority {
    return this.serverNow;
  }

  /** The root, ready to sign. @throws Mqtt2goError `own_root` on a gateway, which has its certificate only */
  requireRoot(): Authority {
    if (this.root instanceof Authority) return this.root;
    throw new Mqtt2goError('own_root', 'This platform is a gateway itself: the operator’s root is in the cloud.');
  }

  /** Goes on with newer certificates of the same keys; PEM. */
  renew({ issuing, server }: { readonly issuing: string; readonly server: string }): void {
    this.issuingNow = this.issuingNow.withCertificate(issuing);
    this.serverNow = this.serverNow.withCertificate(server);
  }

  /**
   * The CAs of this database, made now if there are none; below the operator's root if `enrolling` is given. Processes that
   * start together make one set.
   * @throws Mqtt2goError `configuration_invalid` when the keys are sealed with another encryption key, or an enrolment
   * was begun and is to be finished first; with `enrolling`, what `enrolOnce` throws
   */
  static async open(dataSource: DataSource, box: SecretBox, clock: Clock, enrolling?: Enrolling): Promise<Authorities> {
    if (enrolling !== undefined) await enrolOnce(dataSource, box, enrolling);
    const existing = await dataSource.manager.find(AuthorityCertificate);
    if (existing.length === roles.length) return assemble(dataSource.manager, box, clock);
    if (existing.length === 0 && (await isEnrolmentBegun(dataSource.manager, box))) {
      throw new Mqtt2goError(
        'configuration_invalid',
        'An enrolment was begun here and has not been answered: start again with MQTT2GO_INVITATION, or with an empty data folder.',
      );
    }
    return dataSource.transaction(async (manager) => {
      await manager.query('SELECT pg_advisory_xact_lock($1)', [creationLock]);
      return assemble(manager, box, clock);
    });
  }
}

const creationLock = 0x6d326361;
const commonNames: Readonly<Record<Role, string>> = {
  root: 'MQTT2GO Root CA',
  issuing: 'MQTT2GO Device CA',
  server: 'MQTT2GO Server CA',
  services: 'MQTT2GO Services CA',
};

async function assemble(manager: EntityManager, box: SecretBox, clock: Clock): Promise<Authorities> {
  const keyStore = new PostgresKeyStore(manager, box);
  const nowMs = clock.now();
  const rootRequest = { nowMs, validityMs: ROOT_VALIDITY_MS };

  const open = async (role: Role, make: (keys: KeyPair, commonName: string) => string) => {
    const keys = await openKeys(keyStore, `authority/${role}`);
    let row = await manager.findOneBy(AuthorityCertificate, { role });
    if (row === null) {
      // Two platforms' CAs must not have the same name: a client that trusts both could not tell them apart.
      const commonName = `${commonNames[role]} ${randomBytes(4).toString('hex').toUpperCase()}`;
      row = manager.create(AuthorityCertificate, { role, certificate: make(keys, commonName) });
      await manager.insert(AuthorityCertificate, row);
      const actor = { kind: 'system', id: 'first start' } as const;
      await writeAudit(manager, schema, [{ actor, action: 'authority.created', details: { role, commonName } }]);
    }
    // A root stands above all of them, and is left out of chains.
    return new Authority(row.certificate, keys.privateKey);
  };

  const root =
    (await operatorRoot(manager, keyStore)) ??
    (await open(
      'root',
      (keys, commonName) => Authority.createRoot({ ...rootRequest, commonName, keys, pathLength: 1 }).certificate,
    ));
  const below = ({ publicKey }: KeyPair, commonName: string) => {
    // A gateway's own have come with its enrolment.
    if (!(root instanceof Authority))
      throw new Mqtt2goError('configuration_invalid', 'A CA of the gateway is missing.');
    const validityMs = ISSUING_AUTHORITY_VALIDITY_MS;
    return root.issueAuthority({ commonName, publicKey, nowMs, validityMs, pathLength: 0 }).pem;
  };
  const issuing = await open('issuing', below);
  const server = await open('server', below);
  const services = await open(
    'services',
    (keys, commonName) => Authority.createRoot({ ...rootRequest, commonName, keys, pathLength: 0 }).certificate,
  );
  return new Authorities(root, issuing, server, services);
}

/** On a gateway: the certificate of a root whose key is in the cloud. */
async function operatorRoot(
  manager: EntityManager,
  keyStore: PostgresKeyStore,
): Promise<Pick<Authority, 'certificate'> | undefined> {
  const row = await manager.findOneBy(AuthorityCertificate, { role: 'root' });
  return row !== null && (await keyStore.get('authority/root')) === undefined ? row : undefined;
}
