import type { certificateAuthority } from '@mqtt2go/messaging';
import { Clock } from '@mqtt2go/ports';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { z } from 'zod';
import { Revoking } from '../revocation/revoking.js';

export type Settlement = z.output<typeof certificateAuthority.settleOnboardingCertificate.input>;

/** Ends what an onboarding holds. The first settlement counts; another one after it changes nothing. */
@Injectable()
export class Settling {
  constructor(
    private readonly dataSource: DataSource,
    private readonly revoking: Revoking,
    private readonly clock: Clock,
  ) {}

  async settle({ onboardingId, outcome }: Settlement): Promise<void> {
    const settledAt = new Date(this.clock.now());
    if (outcome === 'completed') {
      await this.dataSource.query(complete, [onboardingId, settledAt]);
      return;
    }
    await this.revoking.inTransaction('cessationOfOperation', async (manager) => {
      const settled: { serialNumber: string | null }[] = await manager.query(abandon, [onboardingId, settledAt]);
      const serialNumber = settled[0]?.serialNumber;
      return serialNumber == null ? [] : [serialNumber];
    });
  }
}

const complete = `
  UPDATE onboarding_certificate SET outcome = 'completed', settled_at = $2, sealed_key = NULL
  WHERE onboarding_id = $1 AND outcome IS NULL`;

/** Leaves a row even where there was none, so that a request that is still on its way gets no certificate. */
const abandon = `
  INSERT INTO onboarding_certificate (onboarding_id, outcome, settled_at) VALUES ($1, 'abandoned', $2)
  ON CONFLICT (onboarding_id) DO UPDATE SET outcome = 'abandoned', settled_at = $2, sealed_key = NULL
    WHERE onboarding_certificate.outcome IS NULL
  RETURNING serial_number AS "serialNumber"`;
