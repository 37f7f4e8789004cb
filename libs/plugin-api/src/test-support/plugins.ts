import { Clock } from '@mqtt2go/ports';
import { Inject, Injectable, type ModuleMetadata } from '@nestjs/common';
import { Mqtt2goPlugin, type PluginFacts, type PluginLifecycle } from '../plugin.js';
import { RevisionWire } from '../revision-wire.js';

/** A revision that reads one filter and writes nothing. */
export abstract class FixtureWire extends RevisionWire {
  override readonly activationFilters: readonly string[] = [];
  override readHome(): { outcome: 'ignored' } {
    return { outcome: 'ignored' };
  }
  override readActivation(): { outcome: 'ignored' } {
    return { outcome: 'ignored' };
  }
  override write(): { topic: string; payload: string } {
    return { topic: 't', payload: '' };
  }
  override addDevicePath(): { revision: string; topic: string } {
    return { revision: this.revision, topic: 't' };
  }
  override deviceTopicsPath(): { revision: string; topic: string } {
    return { revision: this.revision, topic: 't' };
  }
}

export class WireA extends FixtureWire {
  override readonly revision = 'a';
  override readonly homeFilters = ['a/+/in'];
}
export class WireB extends FixtureWire {
  override readonly revision = 'b';
  override readonly homeFilters = ['b/+/in'];
  override readonly activationFilters = ['+/activation'];
}
export class WireOverlappingA extends FixtureWire {
  override readonly revision = 'c';
  override readonly homeFilters = ['+/x/+'];
}

const revision = (name: string, wire: new () => RevisionWire): PluginFacts & ModuleMetadata => ({
  name,
  kind: 'revision',
  api: '^1.0.0',
  providers: [{ provide: RevisionWire, useClass: wire }],
});

/** What the plugins did, in order. */
export const events: string[] = [];

@Mqtt2goPlugin(revision('revision-a', WireA))
export class PluginA implements PluginLifecycle {
  start(): void {
    events.push('a starts');
  }
  stop(): void {
    events.push('a stops');
  }
}

@Mqtt2goPlugin(revision('revision-b', WireB))
export class PluginB implements PluginLifecycle {
  async start(): Promise<void> {
    await Promise.resolve();
    events.push('b starts');
  }
  async stop(): Promise<void> {
    await Promise.resolve();
    events.push('b stops');
  }
}

@Mqtt2goPlugin(revision('revision-a-again', WireA))
export class SameRevision {}

@Mqtt2goPlugin(revision('overlapping', WireOverlappingA))
export class Overlapping {}

@Mqtt2goPlugin({ name: 'wireless', kind: 'revision', api: '^1.0.0' })
export class WithoutWire {}

@Mqtt2goPlugin({
  name: 'false-wire',
  kind: 'revision',
  api: '^1.0.0',
  providers: [{ provide: RevisionWire, useValue: { revision: 'x', homeFilters: 'a/b' } }],
})
export class FalseWire {}

@Mqtt2goPlugin({ name: 'timed', kind: 'notifier', api: '^1.3.0' })
export class Timed implements PluginLifecycle {
  constructor(@Inject(Clock) private readonly clock: Clock) {}
  start(): void {
    events.push(`it is ${this.clock.now()}`);
  }
}

@Mqtt2goPlugin({ name: 'quiet', kind: 'notifier', api: '>=1.0.0 <2' })
export class Quiet {}

@Mqtt2goPlugin({ name: 'of-the-future', kind: 'notifier', api: '^2.0.0' })
export class OfTheFuture {}

@Mqtt2goPlugin({ name: 'rangeless', kind: 'notifier', api: 'whatever' })
export class Rangeless {}

@Mqtt2goPlugin({ name: 'constructor-throws', kind: 'notifier', api: '^1.0.0' })
export class ConstructorThrows {
  constructor() {
    throw new Error('I do things in constructors');
  }
}

@Injectable()
class BrokenService {
  constructor() {
    throw new Error('so do I');
  }
}

@Mqtt2goPlugin({ name: 'provider-throws', kind: 'notifier', api: '^1.0.0', providers: [BrokenService] })
export class ProviderThrows {}

@Mqtt2goPlugin({
  name: 'module-hangs',
  kind: 'notifier',
  api: '^1.0.0',
  providers: [{ provide: 'never', useFactory: () => new Promise<never>(() => undefined) }],
})
export class ModuleHangs {}

@Mqtt2goPlugin(revision('start-hangs', WireB))
export class StartHangs implements PluginLifecycle {
  start(): Promise<void> {
    return new Promise(() => undefined);
  }
  stop(): void {
    events.push('start-hangs stops');
  }
}

@Mqtt2goPlugin({ name: 'start-throws', kind: 'notifier', api: '^1.0.0' })
export class StartThrows implements PluginLifecycle {
  start(): void {
    throw new Error('not today');
  }
}

@Mqtt2goPlugin(revision('start-rejects', WireB))
export class StartRejects implements PluginLifecycle {
  async start(): Promise<void> {
    await Promise.resolve();
    throw new Error('not today either');
  }
}

@Mqtt2goPlugin({ name: 'throws-nothing', kind: 'notifier', api: '^1.0.0' })
export class ThrowsNothing implements PluginLifecycle {
  start(): Promise<void> {
    return Promise.reject(Object.create(null));
  }
}

/** Rejects long after everybody has stopped waiting. */
let rejectLate: (reason: Error) => void = () => undefined;
const late = new Promise<void>((_, reject) => {
  rejectLate = reject;
});
export function rejectNow(): void {
  rejectLate(new Error('too late'));
}

@Mqtt2goPlugin({ name: 'rejects-late', kind: 'notifier', api: '^1.0.0' })
export class RejectsLate implements PluginLifecycle {
  start(): Promise<void> {
    return late;
  }
}

@Mqtt2goPlugin({ name: 'stop-rejects', kind: 'notifier', api: '^1.0.0' })
export class StopRejects implements PluginLifecycle {
  stop(): Promise<void> {
    return Promise.reject(new Error('I stay'));
  }
}

@Mqtt2goPlugin({ name: 'stop-hangs', kind: 'notifier', api: '^1.0.0' })
export class StopHangs implements PluginLifecycle {
  stop(): Promise<void> {
    return new Promise(() => undefined);
  }
}
