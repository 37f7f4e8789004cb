import { auditMigration } from '@mqtt2go/audit';
import { schema } from '../schema.js';
import { ActivationsManufacturers1767225600000 } from './1767225600000-activations-manufacturers.js';
import { WithdrawnActivations1769990400000 } from './1769990400000-withdrawn-activations.js';
import { Relocations1770163200000 } from './1770163200000-relocations.js';

/** In the order in which they run. */
export const migrations = [
  ActivationsManufacturers1767225600000,
  auditMigration(schema),
  WithdrawnActivations1769990400000,
  Relocations1770163200000,
];
