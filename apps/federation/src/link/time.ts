import type { PeerTime } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';

/** What the cloud's certificates are judged by: those may have been renewed since the box knew the time for the last time. */
export function timeOf(clock: Clock): PeerTime {
  return { nowMs: clock.now(), isFloor: clock.isFloor };
}
