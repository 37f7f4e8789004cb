import { z } from 'zod';
import { contract } from './contract.js';

/** Makes a manufacturer's CA a trust anchor for pre-loaded certificates, at once. Errors: malformed_message. */
export const registerManufacturer = contract({
  service: 'discovery',
  verb: 'register-manufacturer',
  callers: ['operator', 'federation'],
  input: z.object({ name: z.string().min(1).max(200), certificate: z.string().max(65_536) }),
  output: z.object({ /** Lower-case hex SHA-256 of the certificate. */ fingerprint: z.string() }),
});

/** The registered manufacturers' CAs, PEM. */
export const listManufacturers = contract({
  service: 'discovery',
  verb: 'list-manufacturers',
  callers: ['federation'],
  input: z.object({}),
  output: z.object({ manufacturers: z.array(z.object({ name: z.string(), certificate: z.string() })).max(1_000) }),
});
