import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 collect garbage early and often instead of letting the heap grow: half of what it takes otherwise under load. To be called before there is much of a heap.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--optimize-for-size');
  // The part for new objects stays at the megabyte that it begins with; it would grow to 32.
  setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * Database connections of a service: each is a process of some megabytes. Two at least: while the outbox holds one, what it
 * carries out needs another. The second is opened when somebody has waited for it.
 */
export const smallPoolSize = 2;

/** PostgreSQL on top of the embedded one's own settings: little memory, few and small writes to an SD card. */
export const smallDatabase = {
  max_connections: '30',
  shared_buffers: '4MB',
  work_mem: '1MB',
  maintenance_work_mem: '8MB',
  wal_buffers: '256kB',
  max_wal_size: '64MB',
  min_wal_size: '32MB',
  // A page is written whole into the log once after each checkpoint.
  checkpoint_timeout: '30min',
  wal_compression: 'pglz',
  autovacuum_max_workers: '1',
  autovacuum_naptime: '10min',
  // No statistics files, and no process that wakes to write nothing.
  bgwriter_lru_maxpages: '0',
  wal_writer_delay: '10s',
} as const;
