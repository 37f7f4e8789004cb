import { Answers, provisioning } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { FactoryRegistry, type ImportResult } from './factory-registry.js';

/** The factory registry on the bus. */
@Controller()
export class FactoryController {
  constructor(private readonly registry: FactoryRegistry) {}

  @Answers(provisioning.importFactoryRecords)
  async importFactoryRecords({
    records,
  }: z.output<typeof provisioning.importFactoryRecords.input>): Promise<ImportResult> {
    return this.registry.import(records);
  }
}
