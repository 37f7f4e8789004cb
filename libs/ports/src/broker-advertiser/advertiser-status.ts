import { Mqtt2goError } from '@mqtt2go/protocol';
import { type AdvertiserState, BrokerAdvertiser } from './broker-advertiser.js';

/** A {@link BrokerAdvertiser}'s state and who is told of it. */
export abstract class StatefulBrokerAdvertiser extends BrokerAdvertiser {
  readonly #listeners = new Set<(state: AdvertiserState) => void>();
  #state: AdvertiserState = { kind: 'off', reason: 'not started' };

  override get state(): AdvertiserState {
    return this.#state;
  }

  override onChange(listener: (state: AdvertiserState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  protected become(state: AdvertiserState): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}

/** What the people who look after the gateway are to know, and do, of a state; undefined when all is as it should be. */
export function advertiserProblem(state: AdvertiserState): Mqtt2goError | undefined {
  if (state.kind === 'name-taken') {
    const where = state.holders.length > 0 ? ` It is at ${state.holders.join(', ')}.` : '';
    return new Mqtt2goError(
      'gateway_name_taken',
      `Another gateway in this network is called MQTT2GO.local: new devices find that one and not this.${where} Switch one of the two off, or set MQTT2GO_MDNS=off at the one that is to find no new devices. This gateway takes the name when the other gives it up.`,
    );
  }
  if (state.kind === 'advertised' && state.rivals.length > 0) {
    return new Mqtt2goError(
      'gateway_name_taken',
      `Another gateway in this network wants to be called MQTT2GO.local, too: ${state.rivals.join(', ')}. New devices find this one. Switch one of the two off, or set MQTT2GO_MDNS=off at the other.`,
    );
  }
  return undefined;
}
