import { certificateAuthority, federation, type InvitationFile } from '@mqtt2go/messaging';
import { Authority, createCertificateRequest, generateKeys, type KeyPair, writePrivateKey } from '@mqtt2go/pki';
import { askDoor, type DoorAnswer } from '../../support/gateways-door.js';
import type { Identity } from '../../support/world.js';
import type { SystemStack } from './system-stack.js';

export interface GatewayName {
  readonly homeId: string;
  readonly gatewayId: string;
}

type Holder = 'issuing' | 'server' | 'identity';

export interface EnrolledGateway {
  readonly name: GatewayName;
  /** What it shows at the door. */
  readonly identity: Identity;
  /** The CA of its home's devices. */
  readonly authority: Authority;
  readonly invitation: InvitationFile;
}

/** Enrols as a gateway does at its first start: invited by the operator, at the address that the invitation tells. */
export async function enrolGateway(stack: SystemStack, name: GatewayName): Promise<EnrolledGateway> {
  const invitation = await (await stack.operator()).call(federation.inviteGateway, name);
  const keys = { issuing: await generateKeys(), server: await generateKeys(), identity: await generateKeys() };
  const { status, body } = await enrol(invitation, keys);
  if (status !== 200) throw new Error(`the enrolment was answered with ${status}: ${JSON.stringify(body)}`);
  const { issuing, identity } = certificateAuthority.gatewayCertificates.parse(body);
  return {
    name,
    identity: { cert: identity, key: writePrivateKey(keys.identity.privateKey) },
    authority: new Authority(issuing, keys.issuing.privateKey),
    invitation,
  };
}

/** @param origin another way to the door than the one that the invitation tells */
export async function enrol(
  { homeId, gatewayId, token, root, cloudUrl }: InvitationFile,
  keys: Readonly<Record<Holder, KeyPair>>,
  origin = cloudUrl,
): Promise<DoorAnswer & { readonly body: unknown }> {
  const requestFor = (holder: Holder) => createCertificateRequest({ deviceId: gatewayId, keys: keys[holder] });
  const requests = {
    issuing: requestFor('issuing'),
    server: requestFor('server'),
    identity: requestFor('identity'),
  };
  return askDoor(origin, 'enrol', { ca: root }, { homeId, gatewayId, token, requests });
}

/** What a CA makes for somebody who says that he is this gateway. */
export async function identityBy(authority: Authority, name: GatewayName): Promise<Identity> {
  const keys = await generateKeys();
  const issued = authority.issueGateway({ ...name, publicKey: keys.publicKey, nowMs: Date.now() });
  return { cert: authority.withChain(issued.pem), key: writePrivateKey(keys.privateKey) };
}
