import { readFile } from 'node:fs/promises';
import { Authority, generateKeys, readCertificate, readPrivateKeyDer, SecretBox, writePrivateKey } from '@mqtt2go/pki';
import type { Identity } from '../../support/world.js';
import type { SystemStack } from './system-stack.js';

export interface GatewayName {
  readonly homeId: string;
  readonly gatewayId: string;
}

/** What the platform's own CA issues to a gateway; the platform has not noted it. */
export async function issueGateway(stack: SystemStack, name: GatewayName): Promise<Identity> {
  return identityOf(await openIssuing(stack), name);
}

/** The same from somebody's CA. */
export async function identityOf(issuing: Authority, name: GatewayName): Promise<Identity> {
  const keys = await generateKeys();
  const issued = issuing.issueGateway({ ...name, publicKey: keys.publicKey, nowMs: Date.now() });
  return { cert: issuing.withChain(issued.pem), key: writePrivateKey(keys.privateKey) };
}

/** A gateway that the platform has let in, as its database has it after an enrolment. */
export async function enrolGateway(stack: SystemStack, name: GatewayName): Promise<Identity> {
  const identity = await issueGateway(stack, name);
  const { fingerprint, serialNumber } = readCertificate(identity.cert);
  const { homeId, gatewayId } = name;
  await stack.query(
    `INSERT INTO federation.gateway (home_id, gateway_id, token_hash, invited_at, invited_until, enrolled_at)
     VALUES ($1, $2, $3, now(), now() + interval '1 day', now())`,
    [homeId, gatewayId, Buffer.from(fingerprint, 'hex')],
  );
  await stack.query(
    `INSERT INTO federation.gateway_certificate (fingerprint, home_id, gateway_id, serial_number, not_after)
     VALUES ($1, $2, $3, $4, now() + interval '1 day')`,
    [fingerprint, homeId, gatewayId, serialNumber],
  );
  return identity;
}

export async function revokeGateway(stack: SystemStack, { homeId, gatewayId }: GatewayName): Promise<void> {
  await stack.query('UPDATE federation.gateway SET revoked_at = now() WHERE home_id = $1 AND gateway_id = $2', [
    homeId,
    gatewayId,
  ]);
}

/** As the certificate authority opens it: by its row in the database and the platform's encryption key. */
async function openIssuing(stack: SystemStack): Promise<Authority> {
  const keyName = 'authority/issuing';
  const [row] = await stack.query<{ certificate: string; sealed: Buffer<ArrayBuffer> }>(
    `SELECT certificate, sealed FROM certificate_authority.authority_certificate, certificate_authority.sealed_secret
      WHERE role = 'issuing' AND name = $1`,
    [keyName],
  );
  if (row === undefined) throw new Error('the platform has no CA for devices and gateways');
  const box = new SecretBox(await readFile(stack.deployment.path('encryption.key'), 'utf8'));
  return new Authority(row.certificate, readPrivateKeyDer(box.open(keyName, row.sealed)));
}
