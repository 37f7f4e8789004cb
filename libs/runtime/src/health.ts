import type { DependencyHealth, HealthReport } from './service-handle.js';

/** Resolves when a dependency can be used; rejects with the reason why not. */
export interface HealthCheck {
  readonly name: string;
  readonly check: () => unknown;
  /** Of the checks with the same word here, one that is up is enough. */
  readonly oneOf?: string;
  /** The service works without it, though not as it should. */
  readonly degrades?: boolean;
}

const checkTimeoutMs = 2_000;

/**
 * Up when every dependency is, or another that is as good; degraded when all that is down is marked so. Looks at all of
 * them at once; one that does not answer in 2 seconds is down.
 */
export async function checkHealth(name: string, checks: readonly HealthCheck[]): Promise<HealthReport> {
  const dependencies = await Promise.all(checks.map(checkOne));
  const needed = new Map<string, boolean>();
  let isDegraded = false;
  checks.forEach(({ oneOf, degrades = false }, index) => {
    const isUp = dependencies[index]?.status === 'up';
    if (degrades) {
      isDegraded ||= !isUp;
      return;
    }
    const need = oneOf ?? `${index}`;
    needed.set(need, isUp || (needed.get(need) ?? false));
  });
  const hasAll = [...needed.values()].every(Boolean);
  return { name, status: !hasAll ? 'down' : isDegraded ? 'degraded' : 'up', dependencies };
}

async function checkOne({ name, check }: HealthCheck): Promise<DependencyHealth> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await Promise.race([
      Promise.resolve().then(check),
      new Promise((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer in ${checkTimeoutMs} ms`)), checkTimeoutMs);
      }),
    ]);
    return { name, status: 'up' };
  } catch (error) {
    return { name, status: 'down', reason: reasonOf(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** A name with two addresses fails with an error for each, and none of its own to read. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map(reasonOf).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}
