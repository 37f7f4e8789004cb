/** Worlds and attempts with which a broker is held against the policy; for tests only, as it imports fast-check. */
export * from './equivalence/attempts.js';
export * from './equivalence/compare.js';
export * from './equivalence/worlds.js';
