import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** On everything that a run makes in the engine: the process id of the run. */
export const RUN_LABEL = 'org.mqtt2go.test-run';

/** What a run's Compose projects are called: the prefix, the process id of the run, `-`, and what the test likes. */
export const COMPOSE_PREFIX = 'mqtt2go-test-';
const composeLabel = 'com.docker.compose.project';

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
    for (const label of [RUN_LABEL, composeLabel]) {
      for (const id of await lines([...kind.list, '--quiet', '--filter', `label=${label}`])) {
        const labels = kind.inspect === 'container' ? '.Config.Labels' : '.Labels';
        // Another run may remove it at this moment.
        const format = `{{index ${labels} "${label}"}}`;
        const [value = ''] = await lines([kind.inspect, 'inspect', '--format', format, id]).catch(() => []);
        const run = label === RUN_LABEL ? value : runOfProject(value);
        if (run !== undefined && run !== '' && matches(run)) await lines([...kind.remove, id]).catch(() => []);
      }
    }
  }
}

function runOfProject(project: string): string | undefined {
  return project.startsWith(COMPOSE_PREFIX) ? project.slice(COMPOSE_PREFIX.length).split('-')[0] : undefined;
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
