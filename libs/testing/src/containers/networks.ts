import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { RUN_LABEL } from './cleaning.js';

/** A network of a test's own, in which containers find each other by their aliases. */
export interface TestNetwork {
  readonly name: string;
  remove(): Promise<void>;
}

/** Testcontainers is loaded only by tests that use it: this package is loaded by all of them. */
export async function engine() {
  const { getContainerRuntimeClient } = await import('testcontainers');
  return getContainerRuntimeClient();
}

export function testLabels(): Record<string, string> {
  return { [RUN_LABEL]: inject('systemRun') };
}

export async function createNetwork(): Promise<TestNetwork> {
  const name = `mqtt2go-${randomBytes(4).toString('hex')}`;
  const { dockerode } = (await engine()).container;
  const network = await dockerode.createNetwork({ Name: name, Driver: 'bridge', Labels: testLabels() });
  return { name, remove: () => network.remove().then(() => undefined) };
}

export interface TestVolume {
  readonly name: string;
  remove(): Promise<void>;
}

export interface VolumeOptions {
  /**
   * Keeps it in memory, as a disk of that size, for as long as a container has it mounted: one that does nothing else
   * keeps it while others are killed and started.
   */
  readonly megabytes?: number;
}

/** A volume of the engine; a new one takes content and owner from the image's folder that it is first mounted on. */
export async function createVolume({ megabytes }: VolumeOptions = {}): Promise<TestVolume> {
  const name = `mqtt2go-${randomBytes(4).toString('hex')}`;
  const { dockerode } = (await engine()).container;
  const inMemory = { type: 'tmpfs', device: 'tmpfs', o: `size=${megabytes}m,mode=1777` };
  await dockerode.createVolume({
    Name: name,
    Labels: testLabels(),
    ...(megabytes === undefined ? {} : { Driver: 'local', DriverOpts: inMemory }),
  });
  const volume = dockerode.getVolume(name);
  return { name, remove: () => volume.remove().then(() => undefined) };
}
