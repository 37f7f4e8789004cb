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

/**
 * Asks the gateways' door.
 * @param origin `https://host:port`
 */
export async function askDoor(
  origin: string,
  verb: string,
  { ca, identity }: DoorCaller,
  input: object = {},
): Promise<DoorAnswer & { readonly body: unknown }> {
  const dispatcher = new Agent({ connect: { ca, ...identity } });
  try {
    const headers = { 'content-type': 'application/json' };
    const answer = await request(`${origin}/v1/${verb}`, {
      dispatcher,
      method: 'POST',
      headers,
      body: JSON.stringify(input),
    });
    const body = await answer.body.json();
    return { status: answer.statusCode, code: problemDetails.safeParse(body).data?.code, body };
  } finally {
    await dispatcher.close();
  }
}

/** Says something that no gateway says: whoever gets past the door is answered `unknown_command`. */
export async function knock(port: number, caller: DoorCaller): Promise<DoorAnswer> {
  const { status, code } = await askDoor(`https://localhost:${port}`, 'knock', caller);
  return { status, code };
}
