import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { isMessageName, type MessageName } from '../registry.js';

const folder = new URL('../../vectors/', import.meta.url);

const messageName = z.string().transform((name, context): MessageName => {
  if (isMessageName(name)) return name;
  context.addIssue({ code: 'custom', message: `${name} is no message of the registry` });
  return z.NEVER;
});

/** One file of libs/protocol/vectors; see its README. */
const vectorFile = z.strictObject({
  name: messageName,
  source: z.string().min(1),
  topic: z.string(),
  params: z.record(z.string(), z.string()),
  payload: z.unknown(),
  read: z.unknown(),
  sent: z.record(z.string(), z.unknown()),
  liberal: z
    .array(z.strictObject({ why: z.string(), topic: z.string().optional(), payload: z.unknown(), read: z.unknown() }))
    .default([]),
  refused: z
    .array(
      z.strictObject({
        why: z.string(),
        topic: z.string().optional(),
        payload: z.unknown().optional(),
        text: z.string().optional(),
        hex: z.string().optional(),
        code: z.string(),
      }),
    )
    .default([]),
});
export type Vector = z.output<typeof vectorFile>;

/** All golden vectors, by file name. */
export const vectors: readonly Vector[] = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .sort()
  .map((file) => {
    const vector = vectorFile.parse(JSON.parse(readFileSync(new URL(file, folder), 'utf8')));
    if (file !== `${vector.name}.json`) throw new Error(`${file} is the vector of ${vector.name}`);
    return vector;
  });

export const toBytes = (json: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(json));

export function refusedBytes(refused: Vector['refused'][number]): Uint8Array {
  if (refused.text !== undefined) return new TextEncoder().encode(refused.text);
  if (refused.hex !== undefined) return Buffer.from(refused.hex, 'hex');
  return toBytes(refused.payload);
}
