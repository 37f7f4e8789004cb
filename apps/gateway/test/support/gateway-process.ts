import { type ChildProcess, fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { anyPorts } from '@mqtt2go/config';
import { bundleOptions } from '../../../../tools/build.mjs';

const root = resolve(import.meta.dirname, '../../../..');

/** Bundles a program of the tests as the real ones are. Answers the file to run. */
export async function bundleProgram(name: string, entry: string): Promise<string> {
  // Within the project, so that what is not bundled is found.
  const folder = await mkdtemp(join(root, 'dist', `test-${name}-`));
  const { output, ...input } = bundleOptions({ [name]: join(import.meta.dirname, entry) }, folder);
  const bundle = await rolldown(input);
  await bundle.write(output);
  await bundle.close();
  return join(folder, `${name}.mjs`);
}

/**
 * Ports that are free now, by name (of all ports' variables, by default), so that a restart finds its clients where they look for it. They are below those
 * that systems give to outgoing connections, one of which could take them while nobody listens.
 */
export async function freePorts(names: readonly string[] = Object.keys(anyPorts)): Promise<Record<string, string>> {
  const servers: Server[] = [];
  const ports: Record<string, string> = {};
  for (const name of names) {
    const { server, port } = await listenSomewhere();
    servers.push(server);
    ports[name] = String(port);
  }
  await Promise.all(servers.map(async (server) => once(server.close(), 'close')));
  return ports;
}

async function listenSomewhere(): Promise<{ server: Server; port: number }> {
  for (let tries = 100; ; tries -= 1) {
    const port = randomInt(20_000, 32_000);
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
      return { server, port };
    } catch (error) {
      if (tries === 0) throw error;
    }
  }
}

export interface Started {
  readonly child: ChildProcess;
  /** Resolves with the signal or code that it ended with. */
  readonly ended: Promise<string | number | null>;
}

/** Starts a program and waits until it says that it is ready. */
export async function startProgram(program: string, env: Record<string, string>): Promise<Started> {
  const child = fork(program, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit').then(([code, signal]) => (signal as string | null) ?? (code as number | null));
  const ready = once(child, 'message');
  const outcome = await Promise.race([ready.then(() => 'ready' as const), ended]);
  if (outcome !== 'ready') throw new Error(`${program} ended with ${outcome} before it was ready`);
  return { child, ended };
}

/** Ends a program as Ctrl-C does, and waits for it. */
export async function stopProgram({ child, ended }: Started): Promise<void> {
  child.kill('SIGTERM');
  await ended;
}
