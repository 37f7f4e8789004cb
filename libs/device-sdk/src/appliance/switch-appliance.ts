import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';
import { Appliance, type Obeyed } from './appliance.js';

const onOff = z.enum(['on', 'off']);
/** The objects page shows `"on"`; some controllers send `{"state":"on"}`, and hands write `ON` and `true`. */
const wanted = z.preprocess((value) => {
  const inner = typeof value === 'object' && value !== null && 'state' in value ? value.state : value;
  if (typeof inner === 'boolean') return inner ? 'on' : 'off';
  return typeof inner === 'string' ? inner.toLowerCase() : inner;
}, onOff);
const remembered = z.object({ state: onOff });

/** Something that is on or off: a socket, a light, a switch; and the simulator's stand-in for any other type. */
export class SwitchAppliance extends Appliance {
  #state: z.infer<typeof onOff> = 'off';

  override get settings(): Readonly<Record<string, unknown>> {
    return { state: this.#state };
  }

  override restore(settings: Readonly<Record<string, unknown>>): void {
    const earlier = remembered.safeParse(settings);
    if (earlier.success) this.#state = earlier.data.state;
  }

  override obey(commandType: string, value: unknown): Obeyed {
    if (commandType === 'query') return { answer: { ...this.report() }, changed: false };
    if (commandType !== 'set') throw new Mqtt2goError('unknown_command', `This device knows set and query only.`);
    const state = wanted.safeParse(value);
    if (!state.success) throw new Mqtt2goError('malformed_message', 'set takes "on" or "off".');
    const changed = state.data !== this.#state;
    this.#state = state.data;
    return { answer: 'ok', changed };
  }

  override report(): Readonly<Record<string, unknown>> {
    return { state: this.#state };
  }
}
