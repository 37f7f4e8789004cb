import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditEntry, callerActor } from '@mqtt2go/audit';
import { currentCaller } from '@mqtt2go/messaging';
import { type MoveEventName, moveRule, nextMoveState } from '@mqtt2go/moving';
import { Clock } from '@mqtt2go/ports';
import { type ErrorCode, Mqtt2goError, toMqtt2goError } from '@mqtt2go/protocol';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Leases } from './leases.js';
import { admit, awaitedOf, checkBothSides, copy, freeze, handOver, type Sides } from './move-steps.js';
import { type Move, MovesRepository, type Progress } from './moves-repository.js';
import { MoverSettings, sidesOf } from './mover-settings.js';
import { Relocations } from './relocations.js';
import type { Side } from './side.js';

const pollMs = 200;
const firstRetryMs = 250;
const longestRetryMs = 5_000;
/** Devices that were told and have not come are told once more after this. */
const tellAgainMs = 15_000;
const resumeMs = 1_000;

/** What says nothing about the home: one side does not answer just now. */
const transient: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['unavailable', 'timeout', 'internal']);

interface Driving {
  /** Aborted when another process may have the move by now. */
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/**
 * Moves the gateway's home to the cloud and back. The gateway decides, whichever way the home goes, for it can reach the
 * cloud and not the other way round. Each state is stored before the next thing is done; a process that is killed anywhere is
 * followed by one that goes on there, and every step can be done twice. Of several processes one drives a move.
 */
@Injectable()
export class Mover implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly driving = new Map<string, Driving>();
  private readonly ending = new AbortController();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly repository: MovesRepository,
    private readonly relocations: Relocations,
    private readonly leases: Leases,
    private readonly clock: Clock,
    private readonly settings: MoverSettings,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.resume(), resumeMs);
    this.resume();
  }

  async onModuleDestroy(): Promise<void> {
    clearInterval(this.timer);
    this.ending.abort();
    await Promise.all([...this.driving.values()].map(({ done }) => done));
  }

  /**
   * Begins a move, or answers the one that is under way there.
   * @throws Mqtt2goError `unknown_home`, `home_is_moving`, `conflict`; `unavailable` without the own services
   */
  async start(homeId: string | undefined, to: 'remote' | 'local'): Promise<Move> {
    const own = this.require(homeId);
    const open = await this.repository.newest(own);
    if (open !== undefined && moveRule(open.state).open) {
      if (open.to === to) return open;
      throw new Mqtt2goError('home_is_moving', `The home is moving to ${open.to}; wait until it has arrived.`);
    }
    const { standing, devices } = await this.settings.own.standing({ homeId: own });
    const isHere = standing === 'here';
    if (isHere === (to === 'local')) {
      throw new Mqtt2goError(
        'conflict',
        isHere ? 'The home is at its gateway already.' : 'The home is not at its gateway.',
      );
    }
    const nowMs = this.clock.now();
    const move: Move = {
      moveId: randomUUID(),
      homeId: own,
      to,
      state: 'requested',
      reason: null,
      detail: null,
      devices,
      copied: 0,
      awaited: 0,
      brokerHost: null,
      brokerPort: null,
      requestedAt: new Date(nowMs),
      deadline: new Date(nowMs + this.settings.times.deadlineMs),
      changedAt: new Date(nowMs),
    };
    if (!(await this.repository.add(move, this.entry(move)))) return this.start(homeId, to);
    await this.settings.onMoved(move.state, move.moveId);
    this.drive(move);
    return move;
  }

  /** @throws Mqtt2goError `unknown_home` for another home than the gateway's */
  async view(homeId: string | undefined): Promise<{ homeId: string; move: Move | undefined }> {
    const own = this.require(homeId);
    return { homeId: own, move: await this.repository.newest(own) };
  }

  get own(): Side {
    return this.settings.own;
  }

  private require(homeId: string | undefined): string {
    if (homeId !== undefined && homeId !== this.settings.homeId) {
      throw new Mqtt2goError('unknown_home', `This is the gateway of the home ${this.settings.homeId}.`);
    }
    return this.settings.homeId;
  }

  private resume(): void {
    this.takeUp().catch((error: unknown) =>
      this.settings.log.warn({ err: error }, 'moves could not be looked for; trying again'),
    );
  }

  private async takeUp(): Promise<void> {
    try {
      await this.leases.renew();
    } finally {
      for (const [moveId, { stop }] of this.driving) if (!this.leases.holds(leaseOf(moveId))) stop.abort();
    }
    for (const move of await this.repository.open()) this.drive(move);
  }

  private drive({ moveId, homeId }: Move): void {
    if (this.driving.has(moveId) || this.ending.signal.aborted) return;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.ending.signal]);
    const done = this.claimAndFollow(moveId, homeId, signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.settings.log.error({ err: error, moveId }, 'a move stands still');
      })
      .finally(() => this.driving.delete(moveId));
    this.driving.set(moveId, { stop, done });
  }

  private async claimAndFollow(moveId: string, homeId: string, signal: AbortSignal): Promise<void> {
    const lease = leaseOf(moveId);
    if (!(await this.leases.claim(lease))) return;
    try {
      // Another process may have brought it further since it was read.
      const move = await this.repository.newest(homeId);
      if (move?.moveId === moveId) await this.follow(move, signal);
    } finally {
      await this.leases.release(lease);
    }
  }

  /** From state to state until the move has ended, or the process, or another one has the move. */
  private async follow(from: Move, signal: AbortSignal): Promise<void> {
    let move = from;
    let attempts = 0;
    while (moveRule(move.state).open && !signal.aborted) {
      try {
        const { event, progress } = await this.work(move, signal);
        move = await this.store(move, event, progress);
        attempts = 0;
      } catch (cause) {
        if (signal.aborted) return;
        const error = toMqtt2goError(cause);
        if (error.code === 'internal')
          this.settings.log.error({ err: cause, state: move.state }, 'a step of a move failed');
        if (this.givesUp(move, error)) {
          move = await this.store(move, 'fail', { reason: error.code, detail: error.message });
          attempts = 0;
          continue;
        }
        await this.repository.note(move, { reason: error.code, detail: error.message });
        attempts += 1;
        await pause(Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(attempts, 8)), signal);
      }
    }
  }

  /** What is refused for good, or has no time left, is undone, as long as it can be. */
  private givesUp(move: Move, error: Mqtt2goError): boolean {
    if (!moveRule(move.state).canFail) return false;
    return !transient.has(error.code) || this.clock.now() >= move.deadline.getTime();
  }

  private async work(move: Move, signal: AbortSignal): Promise<{ event: MoveEventName; progress?: Progress }> {
    const sides = sidesOf(this.settings, move);
    if (moveRule(move.state).canFail && this.clock.now() >= move.deadline.getTime()) {
      throw new Mqtt2goError('timeout', `The move was not ready in time. ${move.detail ?? ''}`.trim());
    }
    switch (move.state) {
      case 'requested':
        return { event: 'checked', progress: await checkBothSides(move, sides) };
      case 'freezing':
        await freeze(move, sides);
        return { event: 'frozen' };
      case 'copying': {
        const copied = await copy(move, sides, (records) => this.repository.note(move, { copied: records }));
        return { event: 'copied', progress: { copied } };
      }
      case 'admitting':
        return { event: (await admit(move, sides)) ? 'admitted' : 'changed' };
      case 'handing-over':
        return { event: 'handed-over', progress: await handOver(move, sides) };
      case 'telling':
        return { event: 'told', progress: { awaited: await this.tell(move, sides, signal) } };
      case 'rolling-back':
        await sides.source.step({ homeId: move.homeId, moveId: move.moveId, step: 'thaw' });
        await sides.target.step({ homeId: move.homeId, moveId: move.moveId, step: 'discard' });
        return { event: 'undone', progress: { reason: move.reason, detail: move.detail } };
      case 'moved':
      case 'rolled-back':
        throw new Error(`nothing is to be done for a move that is ${move.state}`);
    }
  }

  /** Tells the devices, takes over what they still say, and shuts the old broker. @returns how many have not come */
  private async tell(move: Move, sides: Sides, signal: AbortSignal): Promise<number> {
    const { homeId, moveId } = move;
    const { source, target } = sides;
    const step = { homeId, moveId };
    await this.relocations.tell(move, sides);
    await source.redirect({ ...step, deviceIds: [] });
    const toldAtMs = new Map<string, number[]>();
    const untilMs = move.changedAt.getTime() + this.settings.times.tellingMs;
    let taken = 0;
    let awaited = await awaitedOf(homeId, target);
    while (awaited.length > 0 && this.clock.now() < untilMs) {
      const nowMs = this.clock.now();
      // Each is away from its old broker as long as the new one has others to greet: not too many at once.
      const onTheirWay = awaited.filter((deviceId) => isOnItsWay(toldAtMs.get(deviceId), nowMs)).length;
      const due = awaited
        .filter((deviceId) => isDue(toldAtMs.get(deviceId), nowMs))
        .slice(0, Math.max(0, this.settings.times.batchSize - onTheirWay));
      if (due.length > 0) await source.redirect({ ...step, deviceIds: due });
      for (const deviceId of due) toldAtMs.set(deviceId, [...(toldAtMs.get(deviceId) ?? []), nowMs]);
      taken = await this.passOn(move, sides, taken);
      await pause(due.length > 0 ? this.settings.times.betweenBatchesMs : pollMs, signal);
      awaited = await awaitedOf(homeId, target);
      await this.repository.note(move, { awaited: awaited.length });
    }
    await source.step({ ...step, step: 'release' });
    await this.passOn(move, sides, taken);
    await this.relocations.forgetArrived(homeId, sides);
    return awaited.length;
  }

  /** @returns the number of the last message that the target has */
  private async passOn({ homeId, moveId }: Move, { source, target }: Sides, before: number): Promise<number> {
    let taken = before;
    for (;;) {
      const { messages } = await source.takeRelayed({ homeId, moveId, taken });
      const last = messages.at(-1);
      if (last === undefined) return taken;
      await target.deliver({
        homeId,
        moveId,
        messages: messages.map(({ topic, payload }) => ({ topic, payload })),
      });
      taken = last.number;
    }
  }

  private async store(move: Move, event: MoveEventName, progress: Progress = {}): Promise<Move> {
    const state = nextMoveState(move.state, event);
    if (state === undefined) throw new Error(`a move that is ${move.state} cannot be ${event}`);
    const to = { ...move, ...progress, state };
    const changed = await this.repository.change(move, state, this.clock.now(), progress, this.entry(to));
    if (changed === undefined) throw new Error(`the move ${move.moveId} was changed by somebody else`);
    const { moveId, homeId, reason } = changed;
    this.settings.log.info({ moveId, homeId, state, reason }, `the move is ${state}`);
    await this.settings.onMoved(state, moveId);
    return changed;
  }

  private entry({ moveId, homeId, to, state, reason, devices }: Move): AuditEntry {
    const actor =
      state === 'requested'
        ? callerActor(currentCaller(), 'operator')
        : ({ kind: 'service', id: 'federation' } as const);
    return { actor, action: 'home.move', homeId, outcome: reason ?? 'ok', details: { moveId, to, state, devices } };
  }
}

function leaseOf(moveId: string): string {
  return `moving/${moveId}`;
}

/** @throws the signal's reason once it is aborted */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal });
}

/** @throws Mqtt2goError `not_enrolled` in the cloud, and on a gateway that is not enrolled: there is no mover */
export function requireMover(mover: Mover | undefined): Mover {
  if (mover !== undefined) return mover;
  throw new Mqtt2goError('not_enrolled', 'A home is moved by its gateway, once that is enrolled at a cloud.');
}

/** One that has not come after this is not waited for by the others. */
const onTheWayMs = 3_000;

function isOnItsWay(told: readonly number[] | undefined, nowMs: number): boolean {
  return nowMs - (told?.at(-1) ?? Number.NEGATIVE_INFINITY) < onTheWayMs;
}

function isDue(told: readonly number[] | undefined, nowMs: number): boolean {
  if (told === undefined) return true;
  const [first = nowMs] = told;
  return told.length === 1 && nowMs - first >= tellAgainMs;
}
