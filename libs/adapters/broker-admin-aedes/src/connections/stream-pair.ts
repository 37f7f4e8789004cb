import { type Duplex, duplexPair } from 'node:stream';

/** Two ends of a connection inside the process; when one is closed, so is the other. */
export function streamPair(): [Duplex, Duplex] {
  const [near, far] = duplexPair();
  near.once('close', () => far.destroy());
  far.once('close', () => near.destroy());
  return [near, far];
}
