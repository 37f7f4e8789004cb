import { moveRule } from '@mqtt2go/moving';
import { SystemClock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { deferred, silentLogger, waitFor } from '@mqtt2go/testing';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeaseSettings, Leases } from './leases.js';
import { Mover } from './mover.js';
import { MoverSettings } from './mover-settings.js';
import { type Move, MovesRepository } from './moves-repository.js';
import { Relocations } from './relocations.js';
import type { Side } from './side.js';
import { FederationDatabase } from '../testing/federation-database.js';

const homeId = 'home-1';

/** A home without anything in it, on one side; what it is asked is written down. */
class EmptySide {
  readonly steps: string[] = [];
  /** Runs in the middle of each step. */
  inStep: (step: string) => Promise<void> | void = () => undefined;

  constructor(private standing: 'here' | 'moved' | undefined) {}

  get side(): Side {
    const page = async () => ({ records: [] });
    return {
      standing: async () => ({ standing: this.standing, devices: 0, controllers: 0, trustsGateways: true }),
      gatewayDevices: async () => ({ devices: 0 }),
      step: async ({ step }) => {
        await this.inStep(step);
        this.steps.push(step);
        if (step === 'take') this.standing = 'here';
        if (step === 'release') this.standing = 'moved';
        return { standing: this.standing };
      },
      exportPage: page,
      importPage: async () => ({}),
      address: async () => ({ host: 'cloud.example', port: 8883 }),
      awaited: async () => ({ deviceIds: [], total: 0 }),
      redirect: async () => ({ told: 0 }),
      relocate: async () => ({}),
      forgetRelocations: async () => ({}),
      takeRelayed: async () => ({ messages: [] }),
      deliver: async () => ({}),
    };
  }
}

interface Process {
  readonly dataSource: DataSource;
  readonly own: EmptySide;
  readonly cloud: EmptySide;
  readonly mover: Mover;
  readonly repository: MovesRepository;
}

describe('two processes that could move a home', () => {
  let database: FederationDatabase;
  let processes: Process[];

  const start = async (holder: string): Promise<Process> => {
    const dataSource = await database.open();
    const [own, cloud] = [new EmptySide('here'), new EmptySide(undefined)];
    const repository = new MovesRepository(dataSource);
    const leases = new Leases(dataSource, new LeaseSettings(holder, 1_000));
    const clock = new SystemClock();
    const settings = new MoverSettings(homeId, own.side, cloud.side, silentLogger);
    const relocations = new Relocations(dataSource, repository, clock, settings);
    const mover = new Mover(repository, relocations, leases, clock, settings);
    const process = { dataSource, own, cloud, repository, mover };
    processes.push(process);
    return process;
  };
  const ended = (repository: MovesRepository): Promise<Move> =>
    waitFor(async () => {
      const move = await repository.newest(homeId);
      return move !== undefined && !moveRule(move.state).open ? move : undefined;
    }, 'the end of the move');

  beforeEach(async () => {
    database = await FederationDatabase.create();
    processes = [];
  });
  afterEach(async () => {
    await Promise.all(processes.map(({ mover }) => mover.onModuleDestroy()));
    await database.close();
  });

  it('one does, and both answer the same of it', async () => {
    const [one, other] = [await start('one'), await start('other')];
    const gate = deferred();
    one.own.inStep = () => gate.promise;
    one.mover.onApplicationBootstrap();
    const move = await one.mover.start(homeId, 'remote');
    await waitFor(async () => (await one.repository.newest(homeId))?.state === 'freezing', 'the first step');
    other.mover.onApplicationBootstrap();
    expect(await other.mover.start(homeId, 'remote')).toMatchObject({ moveId: move.moveId, state: 'freezing' });
    await expect(other.mover.start(homeId, 'local')).rejects.toMatchObject({ code: 'home_is_moving' });
    expect((await other.mover.view(homeId)).move).toMatchObject({ moveId: move.moveId, state: 'freezing' });
    gate.resolve();
    expect(await ended(other.repository)).toMatchObject({ state: 'moved', moveId: move.moveId });
    expect(other.own.steps).toStrictEqual([]);
    expect(one.own.steps).toContain('release');
  });

  it('the other goes on when it dies in the middle of a step', async () => {
    const [one, other] = [await start('one'), await start('other')];
    const gate = deferred();
    one.own.inStep = (step) => (step === 'freeze' ? gate.promise : undefined);
    one.mover.onApplicationBootstrap();
    const { moveId } = await one.mover.start(homeId, 'remote');
    await waitFor(async () => (await one.repository.newest(homeId))?.state === 'freezing', 'the first step');
    other.mover.onApplicationBootstrap();
    // As the database sees a process that is killed.
    await one.dataSource.destroy();
    expect(await ended(other.repository)).toMatchObject({ state: 'moved', moveId });
    expect(other.own.steps).toStrictEqual(['freeze', 'freeze', 'drain', 'release']);
    // It comes round too late, and does nothing more.
    gate.resolve();
    await one.mover.onModuleDestroy();
    expect([one.own.steps, one.cloud.steps]).toStrictEqual([['freeze'], []]);
  });

  it('the other takes it at once from one that stops on purpose', async () => {
    const [one, other] = [await start('one'), await start('other')];
    one.cloud.inStep = () => {
      throw new Mqtt2goError('unavailable');
    };
    one.mover.onApplicationBootstrap();
    await one.mover.start(homeId, 'remote');
    await waitFor(async () => (await one.repository.newest(homeId))?.reason === 'unavailable', 'a failed attempt');
    await one.mover.onModuleDestroy();
    const [lease] = await other.dataSource.query<unknown[]>('SELECT 1 FROM federation.lease');
    expect(lease).toBeUndefined();
    other.mover.onApplicationBootstrap();
    expect(await ended(other.repository)).toMatchObject({ state: 'moved' });
  });
});
