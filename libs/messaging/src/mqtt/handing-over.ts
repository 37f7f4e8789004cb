import type { MqttClient } from 'mqtt';
import type { Logger } from 'pino';
import type { MessageIntake } from './message-intake.js';

/** What a replica does not get done within it is left undone. */
const timeoutMs = 5_000;

/**
 * Leaves what is new to the other replicas, and has handled what the broker had for this one already. Never rejects.
 */
export async function handOver(
  client: MqttClient,
  intake: MessageIntake,
  filters: readonly string[],
  log: Logger,
): Promise<void> {
  if (!client.connected || filters.length === 0) return;
  const lost = new Promise<void>((resolve) => client.once('close', () => resolve()));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([drain(client, intake, filters), lost, late]).catch((error: unknown) => {
    log.warn({ err: error }, 'messages could not be left to the other replicas');
  });
  clearTimeout(timer);
}

/** A broker answers the packets of a connection in their order: a round trip in which nothing came was the last one. */
async function drain(client: MqttClient, intake: MessageIntake, filters: readonly string[]): Promise<void> {
  let before: number;
  do {
    before = intake.taken;
    await intake.idle();
    await client.unsubscribeAsync([...filters]);
    await intake.idle();
  } while (before !== intake.taken);
}
