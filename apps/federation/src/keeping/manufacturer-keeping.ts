import { Bus, discovery } from '@mqtt2go/messaging';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Logger } from 'pino';
import type { CloudLink } from '../link/cloud-link.js';
import { listManufacturers } from '../link/verbs.js';

/** Registers on the gateway the manufacturers that the cloud knows; those of one's own stay. */
export class ManufacturerKeeping {
  private known: string | undefined;

  constructor(
    private readonly link: CloudLink,
    private readonly bus: Bus,
    private readonly log: Logger,
  ) {}

  /** One that the gateway does not take (not valid at its time, for example) is logged and does not hold up the others. */
  async refresh(): Promise<void> {
    const { manufacturers } = await this.link.call(listManufacturers, {});
    const state = JSON.stringify(manufacturers);
    if (state === this.known) return;
    let all = true;
    for (const manufacturer of manufacturers) {
      await this.bus.call(discovery.registerManufacturer, manufacturer).catch((error: unknown) => {
        if (!(error instanceof Mqtt2goError)) throw error;
        all = false;
        this.log.warn({ err: error, manufacturer: manufacturer.name }, 'a manufacturer could not be registered');
      });
    }
    if (all) this.known = state;
  }
}
