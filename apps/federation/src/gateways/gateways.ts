import { Clock } from '@mqtt2go/ports';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { GatewayCaller } from '../link/contract.js';

/** The gateways that were invited to this cloud, and the certificates of those that are enrolled. */
@Injectable()
export class Gateways {
  constructor(
    private readonly dataSource: DataSource,
    private readonly clock: Clock,
  ) {}

  /** @param fingerprint lower-case hex SHA-256 of a certificate */
  async findByCertificate(fingerprint: string): Promise<GatewayCaller | undefined> {
    const [row] = await this.dataSource.query<GatewayCaller[]>(
      `SELECT home_id AS "homeId", gateway_id AS "gatewayId" FROM federation.gateway_certificate
       JOIN federation.gateway USING (home_id, gateway_id)
       WHERE fingerprint = $1 AND revoked_at IS NULL AND not_after > $2`,
      [fingerprint, new Date(this.clock.now())],
    );
    return row;
  }
}
