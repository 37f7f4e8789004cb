import { inject } from 'vitest';
import { z } from 'zod';

/** What tools/images.mjs tells. */
export const systemImages = z.object({
  bases: z.object({
    node: z.string(),
    mosquitto: z.string(),
    postgres: z.string(),
    /** Only where somebody made or fetched it. */
    rabbitmq: z.string().optional(),
  }),
  /** Program to image: `discovery`, `initialise`, ... */
  programs: z.record(z.string(), z.string()),
});
export type SystemImages = z.infer<typeof systemImages>;

/** The images of this run. */
export function injectedImages(): SystemImages {
  const images: SystemImages | undefined = inject('systemImages');
  if (images === undefined) {
    throw new Error('containers are for *.system.ts: the vitest project needs libs/testing/src/system-setup.ts');
  }
  return images;
}

/** @throws Error when there is no such image */
export function programImage(program: string): string {
  const image = injectedImages().programs[program];
  if (image === undefined) throw new Error(`there is no image of '${program}'`);
  return image;
}
