/**
 * The name under which a device finds the gateway in the house (Rev 1.0, "Setup via WPS", step 3). DNS does not tell
 * capital letters from small ones; published firmwares do.
 */
export const localBrokerHost = 'MQTT2GO.local';

/** The DNS-SD service whose SRV record points to {@link localBrokerHost}. */
export const localBrokerService = '_mqtt._tcp.local';
