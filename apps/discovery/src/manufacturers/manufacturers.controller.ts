import { Answers, discovery } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { Manufacturers } from './manufacturers.js';

/** The service's part of the bus. */
@Controller()
export class ManufacturersController {
  constructor(private readonly manufacturers: Manufacturers) {}

  @Answers(discovery.registerManufacturer)
  async registerManufacturer({
    name,
    certificate,
  }: z.output<typeof discovery.registerManufacturer.input>): Promise<{ fingerprint: string }> {
    return { fingerprint: await this.manufacturers.register(name, certificate) };
  }

  @Answers(discovery.listManufacturers)
  async listManufacturers(): Promise<z.input<typeof discovery.listManufacturers.output>> {
    const all = await this.manufacturers.list();
    return { manufacturers: all.map(({ name, certificate }) => ({ name, certificate })) };
  }
}
