import type { MqttClient } from 'mqtt';

const graceMs = 2_000;

/** Ends a connection once what was sent is acknowledged; without waiting when nobody is there to do that. */
export async function endClient(client: MqttClient | undefined): Promise<void> {
  if (client === undefined || client.disconnected) {
    return;
  }
  if (!client.connected) {
    await client.endAsync(true);
    return;
  }
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => resolve(client.endAsync(true)), graceMs);
  });
  await Promise.race([client.endAsync(), late]);
  clearTimeout(timer);
}
