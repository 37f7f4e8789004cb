/** The PostgreSQL schema that this service, and no other, reads and writes. */
export const schema = 'federation';
