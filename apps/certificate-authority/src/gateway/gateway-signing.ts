import { callerActor, writeAudit } from '@mqtt2go/audit';
import { type certificateAuthority, currentCaller } from '@mqtt2go/messaging';
import { type KeyObject, publicKeyHash, readCertificateRequest } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { z } from 'zod';
import { Authorities } from '../authority/authorities.js';
import { schema } from '../schema.js';
import type { GatewayCertificates } from './enrolment.js';

/** In the cloud: signs for gateways, with the one root. */
@Injectable()
export class GatewaySigning {
  constructor(
    private readonly dataSource: DataSource,
    private readonly authorities: Authorities,
    private readonly clock: Clock,
  ) {}

  /** The errors are those of the contract. */
  async sign({
    homeId,
    gatewayId,
    requests,
  }: z.output<typeof certificateAuthority.signGateway.input>): Promise<GatewayCertificates> {
    const root = this.authorities.requireRoot();
    const { issuing } = this.authorities;
    const nowMs = this.clock.now();
    const [issuingKey, serverKey, identityKey] = await Promise.all([
      keyIn(requests.issuing),
      keyIn(requests.server),
      keyIn(requests.identity),
    ]);
    const forGateway = (use: 'devices' | 'servers', publicKey: KeyObject): string => {
      const commonName = `MQTT2GO Gateway ${use === 'devices' ? 'Device' : 'Server'} CA ${tagOf(publicKey)}`;
      return root.issueGatewayAuthority({ use, homeId, commonName, publicKey, nowMs }).pem;
    };
    const identity = issuing.issueGateway({ homeId, gatewayId, publicKey: identityKey, nowMs });
    const answer = {
      root: root.certificate,
      issuing: forGateway('devices', issuingKey),
      server: forGateway('servers', serverKey),
      identity: issuing.withChain(identity.pem),
    };
    await writeAudit(this.dataSource.manager, schema, [
      {
        actor: callerActor(currentCaller(), 'federation'),
        action: 'gateway-authority.issued',
        homeId,
        details: { gatewayId, serialNumber: identity.serialNumber },
      },
    ]);
    return answer;
  }
}

async function keyIn(request: string): Promise<KeyObject> {
  return (await readCertificateRequest(request)).publicKey;
}

/** A renewed CA has the name of the one before it, which stands as the issuer in what that has issued. */
function tagOf(publicKey: KeyObject): string {
  return publicKeyHash(publicKey).toString('hex').slice(0, 8).toUpperCase();
}
