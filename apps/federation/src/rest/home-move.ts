import { moving, type MoveView } from '@mqtt2go/messaging';
import { identifier, moveStateNames } from '@mqtt2go/protocol';
import { z } from 'zod';

export const homeParams = z.object({ home_id: identifier });

/** Body of `POST /homes/{home_id}/move`. */
export const moveRequest = z.object({
  to: moving.moveDirection.describe('`remote`: to the cloud; `local`: to its gateway.'),
});
export type MoveRequest = z.infer<typeof moveRequest>;

const count = z.int().min(0);
const time = z.iso.datetime();

/** A move of a home, as REST tells of it. */
export const homeMove = z.object({
  move_id: z.uuid(),
  home_id: identifier,
  to: moving.moveDirection,
  state: z.enum(moveStateNames).describe('`moved` and `rolled-back` are the last ones.'),
  progress: z.object({
    devices: count.describe('That the home has.'),
    copied: count.describe('Records that are on the other side.'),
    awaited: count.describe('Devices that have not come to the new broker yet.'),
  }),
  error: z
    .object({ code: z.string(), detail: z.string().optional() })
    .optional()
    .describe('What has ended the move, or keeps it waiting now.'),
  broker: moving.brokerAddress.optional().describe('The new broker of the home, as soon as it is known.'),
  requested_at: time,
  deadline: time.describe('If the home cannot be handed over until then, the move is undone.'),
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
