import { moving, type MoveView } from '@mqtt2go/messaging';
import { identifier, moveStateNames } from '@mqtt2go/protocol';
import { z } from 'zod';

export const homeParams = z.object({ home_id: identifier });

/** Body of `POST /homes/{home_id}/move`. */
export const moveRequest = z.object({ to: moving.moveDirection });
export type MoveRequest = z.infer<typeof moveRequest>;

const count = z.int().min(0);
const time = z.iso.datetime();

/** A move of a home; it has ended when its state is `moved` or `rolled-back`. */
export const homeMove = z.object({
  move_id: z.uuid(),
  home_id: identifier,
  to: moving.moveDirection,
  state: z.enum(moveStateNames),
  progress: z.object({
    devices: count,
    /** Records that are on the other side. */
    copied: count,
    /** Devices that have not come to the new broker yet. */
    awaited: count,
  }),
  /** What has ended the move, or keeps it waiting now. */
  error: z.object({ code: z.string(), detail: z.string().optional() }).optional(),
  /** The home's new broker, as soon as it is known. */
  broker: moving.brokerAddress.optional(),
  requested_at: time,
  /** Until then it is undone if it cannot be finished. */
  deadline: time,
  changed_at: time,
});
export type HomeMove = z.infer<typeof homeMove>;

export function homeMoveOf(move: MoveView): HomeMove {
  const { devices, copied, awaited, reason, detail, broker } = move;
  return {
    move_id: move.moveId,
    home_id: move.homeId,
    to: move.to,
    state: move.state,
    progress: { devices, copied, awaited },
    ...(reason === undefined ? {} : { error: { code: reason, ...(detail === undefined ? {} : { detail }) } }),
    ...(broker === undefined ? {} : { broker }),
    requested_at: move.requestedAt,
    deadline: move.deadline,
    changed_at: move.changedAt,
  };
}
