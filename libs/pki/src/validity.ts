const DAY_MS = 24 * 60 * 60 * 1000;

/** How long before the issuer's clock a certificate is valid, for devices and brokers whose clocks are behind. */
export const BACKDATED_MS = 5 * 60 * 1000;
/** Operational certificates of devices. */
export const DEVICE_VALIDITY_MS = 730 * DAY_MS;
/** Certificates of brokers, of the Discovery server and of services. */
export const SERVER_VALIDITY_MS = 397 * DAY_MS;
/** Server and service certificates that end within this time are renewed at the start. */
export const SERVER_RENEWAL_MS = 30 * DAY_MS;
export const ISSUING_AUTHORITY_VALIDITY_MS = 3653 * DAY_MS;
export const ROOT_VALIDITY_MS = 7305 * DAY_MS;
/** From a revocation list's thisUpdate to its nextUpdate. */
export const REVOCATION_LIST_VALIDITY_MS = 7 * DAY_MS;
/** `99991231235959Z`: a pre-loaded certificate does not expire (IEEE 802.1AR-2018 8.7, RFC 5280 4.1.2.5). */
export const NEVER_MS = Date.UTC(9999, 11, 31, 23, 59, 59);
