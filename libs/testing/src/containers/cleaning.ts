import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** On everything that a run makes in the engine: the process id of the run. */
export const RUN_LABEL = 'org.mqtt2go.test-run';

const kinds = [
  { list: ['ps', '--all'], inspect: 'container', remove: ['rm', '--force', '--volumes'] },
  { list: ['network', 'ls'], inspect: 'network', remove: ['network', 'rm'] },
  { list: ['volume', 'ls'], inspect: 'volume', remove: ['volume', 'rm', '--force'] },
];

export function runLabel(): string {
  return String(process.pid);
}

/** Removes what runs that are no more left behind: a killed one could not clean up. */
export async function removeLeftOvers(): Promise<void> {
  await removeWhere((run) => !isAlive(Number(run)));
}

/** Removes what this run made. */
export async function removeOwn(): Promise<void> {
  await removeWhere((run) => run === runLabel());
}

async function removeWhere(matches: (run: string) => boolean): Promise<void> {
  for (const kind of kinds) {
    const ids = await lines([...kind.list, '--quiet', '--filter', `label=${RUN_LABEL}`]);
    for (const id of ids) {
      const labels = kind.inspect === 'container' ? '.Config.Labels' : '.Labels';
      const format = `{{index ${labels} "${RUN_LABEL}"}}`;
      // Another run may remove it at this moment.
      const [run] = await lines([kind.inspect, 'inspect', '--format', format, id]).catch(() => []);
      if (run !== undefined && matches(run)) await lines([...kind.remove, id]).catch(() => []);
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function lines(args: string[]): Promise<string[]> {
  const { stdout } = await promisify(execFile)('docker', args);
  return stdout.split('\n').filter((line) => line !== '');
}
