import { auditRows, callerActor, insertAudit } from '@mqtt2go/audit';
import { currentCaller } from '@mqtt2go/messaging';
import { SecretBox } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { Gateways } from '../activation/gateways.js';
import { schema } from '../schema.js';
import { GatewayWifi } from './gateway-wifi.entity.js';

/** As it is sealed. */
const wifi = z.object({ ssid: z.string(), password: z.string() });
export type Wifi = z.infer<typeof wifi>;

interface Place {
  readonly homeId: string;
  readonly gatewayId: string;
}

/** Until a device is at its home's broker. */
const onItsWaySql = "state IN ('requested', 'certified', 'announced', 'claimed')";

/** The Wi-Fi of each home, encrypted at rest, and given away once in an activation. */
@Injectable()
export class HomeWifi {
  constructor(
    private readonly dataSource: DataSource,
    private readonly secrets: SecretBox,
    private readonly gateways: Gateways,
    private readonly clock: Clock,
  ) {}

  /** @throws Mqtt2goError `unknown_home`; `unavailable`, `timeout` */
  async set(place: Place, { ssid, password }: Wifi): Promise<void> {
    const { homeId, gatewayId } = place;
    await this.gateways.check(homeId, gatewayId);
    const sealed = this.secrets.seal(secretName(place), JSON.stringify({ ssid, password }));
    await this.dataSource.query(
      `WITH audited AS (${insertAudit(schema, '$5')})
       INSERT INTO gateway_wifi (home_id, gateway_id, sealed, set_at) VALUES ($1, $2, $3, $4)
       ON CONFLICT (home_id, gateway_id) DO UPDATE SET sealed = excluded.sealed, set_at = excluded.set_at`,
      [homeId, gatewayId, Buffer.from(sealed), new Date(this.clock.now()), this.entry('wifi.set', place)],
    );
  }

  /** Its name, and when it was set. @throws Mqtt2goError `wifi_not_set` */
  async show(place: Place): Promise<{ readonly ssid: string; readonly setAtMs: number }> {
    const { homeId, gatewayId } = place;
    const row = await this.dataSource.getRepository(GatewayWifi).findOneBy({ homeId, gatewayId });
    if (row === null) throw new Mqtt2goError('wifi_not_set');
    return { ssid: this.open(place, row.sealed).ssid, setAtMs: row.setAt.getTime() };
  }

  async remove(place: Place): Promise<void> {
    await this.dataSource.query(
      `WITH removed AS (
         DELETE FROM gateway_wifi WHERE home_id = $1 AND gateway_id = $2 RETURNING 1
       ), audited AS (${insertAudit(schema, '$3', 'removed')})
       SELECT 1 FROM removed`,
      [place.homeId, place.gatewayId, this.entry('wifi.removed', place)],
    );
  }

  /**
   * The Wi-Fi for a device that is being added, noted before it is answered: nobody gets it a second time before the
   * person has asked for the device again. A repetition under the same id is the same hand-out.
   * @throws Mqtt2goError `wifi_not_set`, `wifi_already_handed_out`, `unknown_onboarding`, `activation_expired`
   */
  async handOut(onboardingId: string, handOutId: string): Promise<Wifi> {
    const audit = auditRows([{ actor: { kind: 'service', id: 'discovery' }, action: 'wifi.handed-out', onboardingId }]);
    const [row] = await this.dataSource.query<{ home_id: string; gateway_id: string; sealed: Buffer }[]>(
      `WITH handed AS (
         UPDATE onboarding AS o SET wifi_hand_out = $2, wifi_handed_out_for = o.requested_at
         FROM gateway_wifi AS w
         WHERE o.onboarding_id = $1 AND o.${onItsWaySql} AND o.deadline > $3
           AND w.home_id = o.home_id AND w.gateway_id = o.gateway_id
           AND (o.wifi_handed_out_for IS DISTINCT FROM o.requested_at OR o.wifi_hand_out = $2)
         RETURNING o.home_id, o.gateway_id, w.sealed
       ), audited AS (${insertAudit(schema, '$4', 'handed')})
       SELECT home_id, gateway_id, sealed FROM handed`,
      [onboardingId, handOutId, new Date(this.clock.now()), audit],
    );
    if (row === undefined) throw await this.whyNot(onboardingId);
    return this.open({ homeId: row.home_id, gatewayId: row.gateway_id }, row.sealed);
  }

  private async whyNot(onboardingId: string): Promise<Mqtt2goError> {
    const [row] = await this.dataSource.query<{ is_open: boolean; is_late: boolean; is_set: boolean }[]>(
      `SELECT o.${onItsWaySql} AS is_open, o.deadline <= $2 OR o.state = 'expired' AS is_late, w.home_id IS NOT NULL AS is_set
       FROM onboarding AS o LEFT JOIN gateway_wifi AS w ON w.home_id = o.home_id AND w.gateway_id = o.gateway_id
       WHERE o.onboarding_id = $1`,
      [onboardingId, new Date(this.clock.now())],
    );
    if (row?.is_late === true) return new Mqtt2goError('activation_expired');
    if (row === undefined || !row.is_open) return new Mqtt2goError('unknown_onboarding');
    return new Mqtt2goError(row.is_set ? 'wifi_already_handed_out' : 'wifi_not_set');
  }

  private open(place: Place, sealed: Uint8Array): Wifi {
    return wifi.parse(JSON.parse(this.secrets.openText(secretName(place), sealed)));
  }

  private entry(action: 'wifi.set' | 'wifi.removed', { homeId, gatewayId }: Place): string {
    return auditRows([{ actor: callerActor(currentCaller(), 'operator'), action, homeId, details: { gatewayId } }]);
  }
}

/** Ties a sealed Wi-Fi to its home: it does not open in another's place. */
function secretName({ homeId, gatewayId }: Place): string {
  return `provisioning/wifi/${homeId}/${gatewayId}`;
}
