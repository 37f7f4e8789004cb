import { writeAudit } from '@mqtt2go/audit';
import type { certificateAuthority } from '@mqtt2go/messaging';
import {
  createCertificateRequest,
  homeOfAuthority,
  isKeyOf,
  type KeyPair,
  readCertificate,
  type SecretBox,
  splitPem,
  toPem,
  verifyChain,
  writePrivateKey,
} from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { DataSource, EntityManager } from 'typeorm';
import type { z } from 'zod';
import { AuthorityCertificate } from '../authority/authority-certificate.entity.js';
import { openKeys } from '../authority/authority-keys.js';
import { PostgresKeyStore } from '../authority/postgres-key-store.js';
import { schema } from '../schema.js';

export type GatewayRequests = z.output<typeof certificateAuthority.gatewayRequests>;
export type GatewayCertificates = z.output<typeof certificateAuthority.gatewayCertificates>;

/** By what a gateway becomes part of an operator's platform, at its first start. */
export interface Invitation {
  readonly homeId: string;
  readonly gatewayId: string;
  /** `https://host:port` of the cloud's door for gateways. */
  readonly cloudUrl: string;
  /** PEM: the operator's root. */
  readonly root: string;
}

export interface Enrolling {
  /** Read only when the platform has no CAs yet. */
  readonly invitation: () => Promise<Invitation>;
  /** Has the cloud sign; asked again for the same keys it answers the same. */
  readonly enrol: (invitation: Invitation, requests: GatewayRequests) => Promise<GatewayCertificates>;
}

/** How an enrolled gateway is known at its cloud; PEM. */
export interface GatewayIdentity extends Omit<Invitation, 'root'> {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const holders = ['issuing', 'server', 'identity'] as const;
type Holder = (typeof holders)[number];
const names: Readonly<Record<Holder, string>> = {
  issuing: 'authority/issuing',
  server: 'authority/server',
  identity: 'gateway/identity',
};

/**
 * Enrols unless that is done. The keys are stored before the cloud is asked, so that a gateway that was killed before it had
 * the answer asks for the same.
 * @throws Mqtt2goError `own_root` when the platform has a root of its own; what the cloud refuses with;
 * `certificate_not_accepted` when it answers with something else than was asked for
 */
export async function enrolOnce(
  dataSource: DataSource,
  box: SecretBox,
  { invitation, enrol }: Enrolling,
): Promise<void> {
  if ((await readEnrolment(dataSource.manager)) !== undefined) return;
  if ((await dataSource.manager.count(AuthorityCertificate)) > 0) {
    throw new Mqtt2goError(
      'own_root',
      'MQTT2GO_INVITATION is set, but this platform already has a root CA of its own, which its devices trust. ' +
        'Enrol with an empty data folder, or start without the invitation.',
    );
  }
  const invited = await invitation();
  const keys = await openAll(dataSource.manager, box);
  const answer = await enrol(invited, requestsFor(keys));
  requireExpected(answer, keys, invited);
  await dataSource.transaction(async (manager) => {
    await manager.insert(AuthorityCertificate, [
      { role: 'root', certificate: answer.root },
      { role: 'issuing', certificate: answer.issuing },
      { role: 'server', certificate: answer.server },
    ]);
    const { homeId, gatewayId, cloudUrl } = invited;
    await manager.query(
      'INSERT INTO certificate_authority.enrolment (home_id, gateway_id, cloud_url, certificate) VALUES ($1, $2, $3, $4)',
      [homeId, gatewayId, cloudUrl, answer.identity],
    );
    const actor = { kind: 'system', id: 'first start' } as const;
    await writeAudit(manager, schema, [
      { actor, action: 'gateway.enrolled', homeId, details: { gatewayId, cloudUrl } },
    ]);
  });
}

/** True when keys were made for an enrolment that has not been answered. */
export async function isEnrolmentBegun(manager: EntityManager, box: SecretBox): Promise<boolean> {
  return (await new PostgresKeyStore(manager, box).get(names.identity)) !== undefined;
}

/** How this gateway is known at its cloud; undefined if it is no enrolled gateway. */
export async function readGatewayIdentity(
  manager: EntityManager,
  box: SecretBox,
  root: string,
): Promise<GatewayIdentity | undefined> {
  const row = await readEnrolment(manager);
  if (row === undefined) return undefined;
  const { privateKey } = await openKeys(new PostgresKeyStore(manager, box), names.identity);
  const { homeId, gatewayId, cloudUrl, certificate } = row;
  return { homeId, gatewayId, cloudUrl, ca: root, cert: certificate, key: writePrivateKey(privateKey) };
}

/** @throws Mqtt2goError `not_enrolled` */
export async function requestRenewal(
  manager: EntityManager,
  box: SecretBox,
): Promise<{ requests: GatewayRequests; notAfterMs: number }> {
  const row = await requireEnrolment(manager);
  const authorities = await manager.findBy(AuthorityCertificate, [{ role: 'issuing' }, { role: 'server' }]);
  const certificates = [row.certificate, ...authorities.map(({ certificate }) => certificate)];
  return {
    requests: requestsFor(await openAll(manager, box)),
    notAfterMs: Math.min(...certificates.map((certificate) => readCertificate(certificate).notAfterMs)),
  };
}

/** @throws Mqtt2goError `not_enrolled`, `certificate_not_accepted` */
export async function installRenewed(
  dataSource: DataSource,
  box: SecretBox,
  answer: GatewayCertificates,
): Promise<GatewayIdentity> {
  const row = await requireEnrolment(dataSource.manager);
  const root = await dataSource.manager.findOneByOrFail(AuthorityCertificate, { role: 'root' });
  const keys = await openAll(dataSource.manager, box);
  requireExpected(answer, keys, { ...row, root: root.certificate });
  await dataSource.transaction(async (manager) => {
    await manager.update(AuthorityCertificate, { role: 'issuing' }, { certificate: answer.issuing });
    await manager.update(AuthorityCertificate, { role: 'server' }, { certificate: answer.server });
    await manager.query('UPDATE certificate_authority.enrolment SET certificate = $1', [answer.identity]);
    const actor = { kind: 'service', id: 'federation' } as const;
    await writeAudit(manager, schema, [{ actor, action: 'gateway.renewed', homeId: row.homeId }]);
  });
  const { homeId, gatewayId, cloudUrl } = row;
  const key = writePrivateKey(keys.identity.privateKey);
  return { homeId, gatewayId, cloudUrl, ca: root.certificate, cert: answer.identity, key };
}

interface EnrolmentRow extends Omit<Invitation, 'root'> {
  readonly certificate: string;
}

async function readEnrolment(manager: EntityManager): Promise<EnrolmentRow | undefined> {
  const [row] = await manager.query<EnrolmentRow[]>(
    `SELECT home_id AS "homeId", gateway_id AS "gatewayId", cloud_url AS "cloudUrl", certificate
     FROM certificate_authority.enrolment`,
  );
  return row;
}

async function requireEnrolment(manager: EntityManager): Promise<EnrolmentRow> {
  const row = await readEnrolment(manager);
  if (row === undefined) throw new Mqtt2goError('not_enrolled');
  return row;
}

async function openAll(manager: EntityManager, box: SecretBox): Promise<Record<Holder, KeyPair>> {
  const keyStore = new PostgresKeyStore(manager, box);
  const [issuing, server, identity] = await Promise.all([
    openKeys(keyStore, names.issuing),
    openKeys(keyStore, names.server),
    openKeys(keyStore, names.identity),
  ]);
  return { issuing, server, identity };
}

function requestsFor(keys: Record<Holder, KeyPair>): GatewayRequests {
  const request = (holder: Holder): string => createCertificateRequest({ deviceId: holder, keys: keys[holder] });
  return { issuing: request('issuing'), server: request('server'), identity: request('identity') };
}

/** The cloud is known by its certificate; that it makes no mistake is not. */
function requireExpected(
  answer: GatewayCertificates,
  keys: Record<Holder, KeyPair>,
  { homeId, root }: Pick<Invitation, 'homeId' | 'root'>,
): void {
  const isSameRoot = readCertificate(answer.root).fingerprint === readCertificate(root).fingerprint;
  const isChained = (text: string): boolean => {
    const [certificate = '', ...chain] = splitPem(text).map(({ label, der }) => toPem(label, der));
    return verifyChain({ certificate, chain, trustAnchors: [root], nowMs: undefined }).valid;
  };
  const isGood =
    isSameRoot &&
    holders.every((holder) => isKeyOf(keys[holder].privateKey, answer[holder]) && isChained(answer[holder])) &&
    homeOfAuthority(answer.issuing) === homeId &&
    homeOfAuthority(answer.server) === homeId;
  if (!isGood) {
    throw new Mqtt2goError(
      'certificate_not_accepted',
      'The cloud answered with other certificates than were asked for.',
    );
  }
}
