import { problemDetails } from '@mqtt2go/protocol';
import { Agent, request } from 'undici';
import type { Identity } from './world.js';

export interface DoorAnswer {
  readonly status: number;
  /** Of a refusal. */
  readonly code: string | undefined;
}

export interface DoorCaller {
  /** PEM: the root that the door is trusted by. */
  readonly ca: string;
  readonly identity?: Identity | undefined;
}

/** Says something that no gateway says: whoever gets past the door is answered `unknown_command`. */
export async function knock(port: number, { ca, identity }: DoorCaller): Promise<DoorAnswer> {
  const dispatcher = new Agent({ connect: { ca, ...identity } });
  try {
    const headers = { 'content-type': 'application/json' };
    const url = `https://localhost:${port}/v1/knock`;
    const { statusCode: status, body } = await request(url, { dispatcher, method: 'POST', headers, body: '{}' });
    const problem = problemDetails.safeParse(await body.json());
    return { status, code: problem.data?.code };
  } finally {
    await dispatcher.close();
  }
}
