import { createPublicKey, randomBytes } from 'node:crypto';
import { writeAudit } from '@mqtt2go/audit';
import {
  Authority,
  generateKeys,
  ISSUING_AUTHORITY_VALIDITY_MS,
  type KeyPair,
  privateKeyDer,
  ROOT_VALIDITY_MS,
  readPrivateKeyDer,
  type SecretBox,
} from '@mqtt2go/pki';
import type { Clock, KeyStore } from '@mqtt2go/ports';
import type { DataSource, EntityManager } from 'typeorm';
import { schema } from '../schema.js';
import { AuthorityCertificate } from './authority-certificate.entity.js';
import { PostgresKeyStore } from './postgres-key-store.js';

const roles = ['root', 'issuing', 'server', 'services'] as const;
type Role = (typeof roles)[number];

/** The platform's CAs, their keys in memory. Their certificates are never changed once they are made. */
export class Authorities implements Readonly<Record<Role, Authority>> {
  constructor(
    /** Above `issuing` and `server`; what devices carry as `ca.crt`. */
    readonly root: Authority,
    /** Of devices' operational certificates. */
    readonly issuing: Authority,
    /** Of the servers that devices and controllers meet. */
    readonly server: Authority,
    /** A root of its own: what it issues is of no worth to a device, and what the others issue of none to a service. */
    readonly services: Authority,
  ) {}

  /**
   * The CAs of this database, made now if there are none. Processes that start together make one set.
   * @throws Mqtt2goError `configuration_invalid` when the keys are sealed with another encryption key
   */
  static async open(dataSource: DataSource, box: SecretBox, clock: Clock): Promise<Authorities> {
    const existing = await dataSource.manager.find(AuthorityCertificate);
    if (existing.length === roles.length) return assemble(dataSource.manager, box, clock);
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

  const open = async (role: Role, above: readonly string[], make: (keys: KeyPair, commonName: string) => string) => {
    const keys = await openKeys(keyStore, role);
    let row = await manager.findOneBy(AuthorityCertificate, { role });
    if (row === null) {
      // Two platforms' CAs must not have the same name: a client that trusts both could not tell them apart.
      const commonName = `${commonNames[role]} ${randomBytes(4).toString('hex').toUpperCase()}`;
      row = manager.create(AuthorityCertificate, { role, certificate: make(keys, commonName) });
      await manager.insert(AuthorityCertificate, row);
      const actor = { kind: 'system', id: 'first start' } as const;
      await writeAudit(manager, schema, [{ actor, action: 'authority.created', details: { role, commonName } }]);
    }
    return new Authority(row.certificate, keys.privateKey, above);
  };

  const root = await open(
    'root',
    [],
    (keys, commonName) => Authority.createRoot({ ...rootRequest, commonName, keys, pathLength: 1 }).certificate,
  );
  const below = ({ publicKey }: KeyPair, commonName: string) => {
    const validityMs = ISSUING_AUTHORITY_VALIDITY_MS;
    return root.issueAuthority({ commonName, publicKey, nowMs, validityMs, pathLength: 0 }).pem;
  };
  const issuing = await open('issuing', root.chain, below);
  const server = await open('server', root.chain, below);
  const services = await open(
    'services',
    [],
    (keys, commonName) => Authority.createRoot({ ...rootRequest, commonName, keys, pathLength: 0 }).certificate,
  );
  return new Authorities(root, issuing, server, services);
}

async function openKeys(keyStore: KeyStore, role: Role): Promise<KeyPair> {
  const name = `authority/${role}`;
  const stored = await keyStore.get(name);
  const der = stored ?? (await keyStore.putIfAbsent(name, privateKeyDer((await generateKeys()).privateKey)));
  const privateKey = readPrivateKeyDer(der);
  return { privateKey, publicKey: createPublicKey(privateKey) };
}
