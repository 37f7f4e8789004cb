import {
  type ActivationInbound,
  filtersOverlap,
  type HomeInbound,
  Mqtt2goError,
  type Reading,
  topicMatches,
} from '@mqtt2go/protocol';
import type { RevisionWire } from './revision-wire.js';

/** The revisions of the standard that are spoken, side by side on the same brokers. */
export class RevisionRegistry {
  readonly #wires: RevisionWire[] = [];

  constructor(wires: readonly RevisionWire[] = []) {
    for (const wire of wires) this.add(wire);
  }

  get wires(): readonly RevisionWire[] {
    return this.#wires;
  }

  /** What to subscribe on the home broker. */
  get homeFilters(): readonly string[] {
    return this.#wires.flatMap(({ homeFilters }) => homeFilters);
  }

  /** What to subscribe on the activation broker. */
  get activationFilters(): readonly string[] {
    return this.#wires.flatMap(({ activationFilters }) => activationFilters);
  }

  /** @throws Mqtt2goError `plugin_failed` for a revision that is there, or topics that another one reads */
  add(wire: RevisionWire): void {
    for (const other of this.#wires) {
      if (other.revision === wire.revision) {
        throw new Mqtt2goError('plugin_failed', `Revision ${wire.revision} is spoken by another plugin already.`);
      }
      refuseOverlap(wire, other, 'homeFilters');
      refuseOverlap(wire, other, 'activationFilters');
    }
    this.#wires.push(wire);
  }

  remove(wire: RevisionWire): void {
    const at = this.#wires.indexOf(wire);
    if (at >= 0) this.#wires.splice(at, 1);
  }

  /**
   * The wire of a revision, such as the one that an onboarding is stored with.
   * @throws Mqtt2goError `unavailable` if no plugin speaks it (any more)
   */
  get(revision: string): RevisionWire {
    const wire = this.find(revision);
    if (!wire) throw new Mqtt2goError('unavailable', `No plugin is loaded that speaks revision ${revision}.`);
    return wire;
  }

  find(revision: string): RevisionWire | undefined {
    return this.#wires.find((wire) => wire.revision === revision);
  }

  /** Who reads this topic of the home broker. */
  ofHomeTopic(topic: string): RevisionWire | undefined {
    return this.#wires.find(({ homeFilters }) => homeFilters.some((filter) => topicMatches(filter, topic)));
  }

  /** Who reads this topic of the activation broker. */
  ofActivationTopic(topic: string): RevisionWire | undefined {
    return this.#wires.find(({ activationFilters }) => activationFilters.some((filter) => topicMatches(filter, topic)));
  }

  /** Reads by the revision that the topic belongs to; `ignored` if it is nobody's. */
  readHome(topic: string, payload: Uint8Array): Reading<HomeInbound> {
    return this.ofHomeTopic(topic)?.readHome(topic, payload) ?? { outcome: 'ignored' };
  }

  /** As {@link readHome}, of the activation broker. */
  readActivation(topic: string, payload: Uint8Array): Reading<ActivationInbound> {
    return this.ofActivationTopic(topic)?.readActivation(topic, payload) ?? { outcome: 'ignored' };
  }
}

function refuseOverlap(wire: RevisionWire, other: RevisionWire, which: 'homeFilters' | 'activationFilters'): void {
  for (const mine of wire[which]) {
    const theirs = other[which].find((filter) => filtersOverlap(mine, filter));
    if (theirs === undefined) continue;
    throw new Mqtt2goError(
      'plugin_failed',
      `Revision ${wire.revision} reads ${mine}, which overlaps with ${theirs} of revision ${other.revision}.`,
    );
  }
}
