import { outboxEntity } from '@mqtt2go/persistence';

/** The rest of the schema is read and written by statements only. */
export const entities = [outboxEntity];
