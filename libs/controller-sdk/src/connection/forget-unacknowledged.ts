import type { MqttClient } from 'mqtt';

/**
 * Lets messages fail that a lost connection leaves unacknowledged. mqtt.js would send them again on the next one, however
 * late: a command that nobody waits for any more, or the request to add a device that has been added meanwhile.
 */
export function forgetUnacknowledged(client: MqttClient): void {
  const sent = new Set<number>();
  client.on('packetsend', (packet) => {
    if (packet.cmd === 'publish' && packet.qos === 1 && packet.messageId !== undefined) sent.add(packet.messageId);
  });
  client.on('packetreceive', (packet) => {
    if (packet.cmd === 'puback' && packet.messageId !== undefined) sent.delete(packet.messageId);
  });
  client.on('close', () => {
    for (const messageId of sent) client.removeOutgoingMessage(messageId);
    sent.clear();
  });
}
