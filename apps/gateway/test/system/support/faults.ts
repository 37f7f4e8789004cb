import { chown, cp, readdir, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunnableService } from '@mqtt2go/config';
import { injectedImages, type RunningContainer, startContainer } from '@mqtt2go/testing';
import { type BrokerName } from './deployment.js';
import { slowProxy } from './slow-proxy.js';
import type { SystemStack } from './system-stack.js';

/** One way in which production goes wrong. */
export interface Fault {
  readonly name: string;
  /** Between the two; 3 s unless set. */
  readonly holdMs?: number;
  inject(): Promise<unknown>;
  heal(): Promise<unknown>;
}

const pauseMs = 5_000;

type Find = (stack: SystemStack) => readonly RunningContainer[];

const each = (containers: readonly RunningContainer[], act: (container: RunningContainer) => Promise<void>) =>
  Promise.all(containers.map(act));

function killed(stack: SystemStack, name: string, find: Find): Fault {
  return {
    name: `kill -9 of ${name}`,
    holdMs: 1_500,
    inject: () => each(find(stack), (container) => container.kill()),
    heal: () => each(find(stack), (container) => container.start()),
  };
}

function paused(stack: SystemStack, name: string, find: Find): Fault {
  return {
    name: `pause of ${name}`,
    holdMs: pauseMs,
    inject: () => each(find(stack), (container) => container.pause()),
    heal: () => each(find(stack), (container) => container.unpause()),
  };
}

/** Nobody inside reaches it any more, nor it them; no connection is closed. Its published ports stay. */
function cutOff(stack: SystemStack, name: string, find: Find): Fault {
  return {
    name: `network cut at ${name}`,
    holdMs: pauseMs,
    inject: () => each(find(stack), (container) => container.disconnect(stack.inside)),
    heal: () => each(find(stack), (container) => container.connect(stack.inside)),
  };
}

const serviceOf =
  (name: RunnableService): Find =>
  (stack) =>
    stack.service(name);
const brokerOf =
  (name: BrokerName): Find =>
  (stack) => [stack.broker(name)];
const database: Find = (stack) => [stack.postgres.container];

export function killsAndPauses(stack: SystemStack): Fault[] {
  const parts: [string, Find][] = [
    ['provisioning', serviceOf('provisioning')],
    ['discovery', serviceOf('discovery')],
    ['certificate-authority', serviceOf('certificate-authority')],
    ['topic-generator', serviceOf('topic-generator')],
    ['federation', serviceOf('federation')],
    ['all services', (all) => all.allServices],
    ['broker home-0', brokerOf('home-0')],
    ['broker home-1', brokerOf('home-1')],
    ['broker activation', brokerOf('activation')],
    ['broker bus', brokerOf('bus')],
    ['the database', database],
  ];
  return parts.flatMap(([name, find]) => [killed(stack, name, find), paused(stack, name, find)]);
}

export function networkCuts(stack: SystemStack): Fault[] {
  return [
    cutOff(stack, 'broker home-0', brokerOf('home-0')),
    cutOff(stack, 'broker activation', brokerOf('activation')),
    cutOff(stack, 'broker bus', brokerOf('bus')),
    cutOff(stack, 'the database', database),
    cutOff(stack, 'discovery', serviceOf('discovery')),
    cutOff(stack, 'provisioning', serviceOf('provisioning')),
  ];
}

/** What a broker knows of access when it starts is gone, or gone with all that it remembered of sessions. */
export async function lostSnapshots(stack: SystemStack): Promise<Fault[]> {
  const { deployment } = stack;
  const access = (name: BrokerName) => deployment.path('deployment', 'brokers', name, 'access');
  const initial = (name: BrokerName) => deployment.path('initial-access', name);
  for (const name of deployment.brokers)
    if (name !== 'bus') await cp(access(name), initial(name), { recursive: true, preserveTimestamps: true });
  const owned = async (folder: string): Promise<void> => {
    if (process.getuid?.() !== 0) return;
    const [uid = 0, gid = 0] = deployment.user.split(':').map(Number);
    for (const entry of await readdir(folder, { recursive: true })) await chown(`${folder}/${entry}`, uid, gid);
  };
  const lost = (name: BrokerName, more: string, also: () => Promise<unknown>): Fault => ({
    name: `broker ${name} restarted with its snapshot${more} lost`,
    holdMs: 500,
    async inject() {
      await stack.broker(name).kill();
      for (const entry of await readdir(access(name)))
        await rm(`${access(name)}/${entry}`, { recursive: true, force: true });
      await cp(initial(name), access(name), { recursive: true });
      await owned(access(name));
      await also();
    },
    heal: () => stack.broker(name).start(),
  });
  const forget = (name: BrokerName) => async () => {
    for (const entry of await readdir(deployment.path('data', name)))
      await rm(deployment.path('data', name, entry), { recursive: true, force: true });
  };
  const nothing = async (): Promise<void> => undefined;
  return [
    lost('home-0', '', nothing),
    lost('activation', '', nothing),
    lost('home-1', ' and its persistence', forget('home-1')),
  ];
}

/** The database's disk has no room left for a while; a server that ended over it is started again, as by any runner. */
export function fullDisk(stack: SystemStack): Fault {
  const filler = '/var/lib/postgresql/filler';
  const { container } = stack.postgres;
  return {
    name: 'full disk of the database',
    holdMs: pauseMs,
    async inject() {
      const { output } = await stack.diskHolder.exec(['sh', '-c', `cat /dev/zero >${filler}; df -k ${filler}`]);
      if (!output.includes('100%')) throw new Error(`the disk is not full: ${output}`);
      // What is left in files that are there already would do for a while.
      await stack.query('CREATE TABLE public.no_room (stuff text)').catch(() => undefined);
      await stack
        .query(`INSERT INTO public.no_room SELECT repeat(md5(random()::text), 200) FROM generate_series(1, 100000)`)
        .then(
          () => Promise.reject(new Error('the disk is not full for the database')),
          () => undefined,
        );
    },
    async heal() {
      await stack.diskHolder.exec(['rm', filler]);
      if (!(await container.isRunning())) await container.start();
      await retry(() => stack.query('DROP TABLE IF EXISTS public.no_room'));
    },
  };
}

/** Each answer of the database takes as long as over a bad line. */
export function slowDatabase(stack: SystemStack, delayMs: number): Fault {
  let proxy: RunningContainer | undefined;
  return {
    name: `slow database, ${delayMs} ms for each answer`,
    holdMs: 8_000,
    async inject() {
      const { container } = stack.postgres;
      await container.disconnect(stack.inside);
      proxy = await startContainer({
        image: injectedImages().bases.node,
        name: 'slow-database',
        networks: [stack.inside, stack.outside],
        aliases: ['postgres'],
        command: ['node', '-e', slowProxy, await container.address(stack.outside), String(delayMs)],
        ready: /listening/,
      });
    },
    async heal() {
      await proxy?.remove();
      await stack.postgres.container.connect(stack.inside);
    },
  };
}

async function retry<T>(act: () => Promise<T>): Promise<T> {
  for (let tries = 100; ; tries -= 1) {
    try {
      return await act();
    } catch (error) {
      if (tries === 0) throw error;
      await delay(200);
    }
  }
}
