import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';

/** A holder refreshes its lock this often; one that was not refreshed for `staleAfterMs` died with its machine. */
const refreshEveryMs = 2_000;
const staleAfterMs = 30_000;
const askEveryMs = 200;

/**
 * Runs `work` while no other process on this machine holds the lock at `path`.
 * @template T
 * @param {string} path
 * @param {{onWait?: (pid: number) => void}} options onWait: called once, if another process has to be waited for
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withFileLock(path, { onWait }, work) {
  let told = false;
  while (!tryTake(path)) {
    const holder = readHolder(path);
    if (holder === undefined) continue;
    if (isStale(path, holder)) {
      removeStale(path, holder);
      continue;
    }
    if (!told) onWait?.(holder);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, askEveryMs));
  }
  const refresh = setInterval(() => touch(path), refreshEveryMs);
  try {
    return await work();
  } finally {
    clearInterval(refresh);
    if (readHolder(path) === process.pid) rmSync(path, { force: true });
  }
}

/** A link to a finished file, so that nobody ever reads a lock without its holder in it. */
function tryTake(path) {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(own, { force: true });
  }
}

function readHolder(path) {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function isStale(path, holder) {
  try {
    process.kill(holder, 0);
  } catch (error) {
    if (error.code === 'ESRCH') return true;
  }
  try {
    return Date.now() - statSync(path).mtimeMs > staleAfterMs;
  } catch {
    return false;
  }
}

/** Takes the lock aside first: between the look at it and this, another process may have put its own there. */
function removeStale(path, holder) {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
    if (readHolder(aside) !== holder) linkSync(aside, path);
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function touch(path) {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}
