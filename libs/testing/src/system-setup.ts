import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { removeLeftOvers, removeOwn, runLabel } from './containers/cleaning.js';
import { type SystemImages, systemImages } from './containers/images.js';

declare module 'vitest' {
  interface ProvidedContext {
    systemImages: SystemImages;
    /** What marks the containers, networks and volumes of this run. */
    systemRun: string;
  }
}

/** Builds the images that the system tests run, and sees to it that nothing stays behind, of killed runs neither. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeLeftOvers();
  const images = await buildImages();
  project.provide('systemImages', images);
  project.provide('systemRun', runLabel());
  // Testcontainers' own cleaner is one more image; where there is no registry, the labels have to do.
  if (images.bases.mosquitto.startsWith('mqtt2go/offline-')) process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';
  return () => removeOwn();
}

async function buildImages(): Promise<SystemImages> {
  const tool = fileURLToPath(new URL('../../../tools/images.mjs', import.meta.url));
  const run = promisify(execFile)(process.execPath, [tool, '--json'], { maxBuffer: 16 * 1024 * 1024 });
  const { stdout } = await run.catch((cause: unknown) => {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new Error(`The images for the system tests could not be made.\n${said}`, { cause });
  });
  return systemImages.parse(JSON.parse(stdout));
}
