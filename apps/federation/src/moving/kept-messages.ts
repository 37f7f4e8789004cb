import { Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { DataSource } from 'typeorm';
import { RelaySettings } from './relay-settings.js';

/** `onward`: for the other side. `held`: for a device that is not here yet. */
export type Kind = 'onward' | 'held';

export interface Message {
  readonly topic: string;
  /** base64 */
  readonly payload: string;
}

export interface KeptMessage extends Message {
  readonly number: number;
}

export interface NewMessage {
  readonly homeId: string;
  readonly kind: Kind;
  readonly deviceId: string;
  readonly topic: string;
  readonly payload: Buffer;
}

/** What one answer takes. */
const pageSize = 200;
/** As many as a broker keeps for a session. */
export const mostPerDevice = 500;

/** What was said to and by devices between two brokers, in its order. */
@Injectable()
export class KeptMessages {
  private storing: Promise<void> = Promise.resolve();
  private next: { readonly messages: NewMessage[]; readonly stored: Promise<void> } | undefined;
  private readonly log: Logger;

  constructor(
    private readonly dataSource: DataSource,
    { log }: RelaySettings,
  ) {
    this.log = log;
  }

  /** What comes while a statement is under way is stored by the next one, all together: a commit costs what a message does. */
  async store(message: NewMessage): Promise<void> {
    const batch = (this.next ??= this.storeNext());
    batch.messages.push(message);
    await batch.stored;
  }

  /** Resolves when all that was to be stored until now is, or is not. */
  async stored(): Promise<void> {
    await this.next?.stored.catch(() => undefined);
    await this.storing;
  }

  /** A page of what waits for the other side. */
  async onward(homeId: string): Promise<KeptMessage[]> {
    return this.read(homeId, 'onward', undefined, pageSize);
  }

  /** What waits for one device. */
  async held(homeId: string, deviceId: string): Promise<KeptMessage[]> {
    return this.read(homeId, 'held', deviceId, 2 * mostPerDevice);
  }

  /** For whom something waits. */
  async heldFor(homeId: string): Promise<string[]> {
    const rows = await this.dataSource.query<{ device_id: string }[]>(
      `SELECT DISTINCT device_id FROM federation.kept_message WHERE home_id = $1 AND kind = 'held'`,
      [homeId],
    );
    return rows.map(({ device_id }) => device_id);
  }

  /** Those for the other side up to and with `number`. */
  async forgetOnward(homeId: string, number: number): Promise<void> {
    await this.dataSource.query(
      `DELETE FROM federation.kept_message WHERE home_id = $1 AND kind = 'onward' AND number <= $2`,
      [homeId, number],
    );
  }

  async forgetHeld(homeId: string): Promise<void> {
    await this.dataSource.query(`DELETE FROM federation.kept_message WHERE home_id = $1 AND kind = 'held'`, [homeId]);
  }

  async forget(messages: readonly KeptMessage[]): Promise<void> {
    await this.dataSource.query('DELETE FROM federation.kept_message WHERE number = ANY($1::bigint[])', [
      messages.map(({ number }) => number),
    ]);
  }

  /** What has waited for devices is for the other side to say. */
  async turnOnward(homeId: string): Promise<void> {
    await this.dataSource.query(
      `UPDATE federation.kept_message SET kind = 'onward' WHERE home_id = $1 AND kind = 'held'`,
      [homeId],
    );
  }

  /** Drops the oldest of one device beyond {@link mostPerDevice}. */
  async limit(homeId: string, deviceId: string): Promise<void> {
    const dropped = await this.dataSource.query<unknown[]>(
      `WITH dropped AS (
         DELETE FROM federation.kept_message WHERE number IN (
           SELECT number FROM federation.kept_message WHERE home_id = $1 AND kind = 'held' AND device_id = $2
           ORDER BY number DESC OFFSET $3)
         RETURNING 1
       ) SELECT 1 FROM dropped`,
      [homeId, deviceId, mostPerDevice],
    );
    if (dropped.length > 0) this.log.warn({ homeId, deviceId }, 'the oldest command for a device was dropped');
  }

  private async read(homeId: string, kind: Kind, deviceId: string | undefined, most: number): Promise<KeptMessage[]> {
    const rows = await this.dataSource.query<{ number: string; topic: string; payload: Buffer }[]>(
      `SELECT number, topic, payload FROM federation.kept_message
       WHERE home_id = $1 AND kind = $2 AND ($3::varchar IS NULL OR device_id = $3) ORDER BY number LIMIT $4`,
      [homeId, kind, deviceId ?? null, most],
    );
    return rows.map(({ number, topic, payload }) => ({
      number: Number(number),
      topic,
      payload: payload.toString('base64'),
    }));
  }

  private storeNext(): { messages: NewMessage[]; stored: Promise<void> } {
    const messages: NewMessage[] = [];
    const stored = this.storing.then(async () => {
      this.next = undefined;
      const column = <V>(value: (message: NewMessage) => V): V[] => messages.map(value);
      await this.dataSource.query(
        `INSERT INTO federation.kept_message (home_id, kind, device_id, topic, payload)
         SELECT * FROM unnest($1::varchar[], $2::varchar[], $3::varchar[], $4::varchar[], $5::bytea[])`,
        [
          column(({ homeId }) => homeId),
          column(({ kind }) => kind),
          column(({ deviceId }) => deviceId),
          column(({ topic }) => topic),
          column(({ payload }) => payload),
        ],
      );
    });
    this.storing = stored.catch(() => undefined);
    return { messages, stored };
  }
}
