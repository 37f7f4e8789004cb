import { Mqtt2goError } from '@mqtt2go/protocol';
import { InvalidArgumentError } from 'commander';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/** An end of a service's chain that was noted down. */
const auditHead = z.object({
  schema: z.string().regex(/^[a-z_]+$/),
  position: z.int().min(0),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
});
export const checkpointFile = z.object({ checkpoint: z.literal(1), at: z.string(), heads: z.array(auditHead) });
export type Checkpoint = z.infer<typeof checkpointFile>;
export type Head = z.infer<typeof auditHead>;

/** `schema:position:hash`, as a line of the log tells it. */
export function readHead(text: string, before: readonly Head[] = []): Head[] {
  const [schema, position, hash] = text.split(':');
  const head = auditHead.safeParse({ schema, position: Number(position), hash });
  if (!head.success) throw new InvalidArgumentError('It must be SCHEMA:POSITION:HASH, as the log tells it.');
  return [...before, head.data];
}

/** @throws Mqtt2goError `malformed_message` */
export async function readCheckpoint(file: string): Promise<Checkpoint> {
  try {
    return checkpointFile.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw new Mqtt2goError('malformed_message', `${file} is no checkpoint of mqtt2go audit checkpoint.`, { cause });
  }
}
